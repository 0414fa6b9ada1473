import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { run, scratch } from "../test/programs.ts";
import { bytesOf, collect } from "./bytes.ts";
import type { OciErrorCode } from "./error.ts";
import { randomImage } from "./random-image.ts";
import { byteString, type TarHeader, tarHeader } from "./tar-entry.ts";
import { readTar } from "./tar-reader.ts";
import { encodeTarHeader, tarOf, writeTar } from "./tar-writer.ts";

interface Read {
  readonly header: TarHeader;
  readonly body: Buffer;
}

async function entriesOf(tar: AsyncIterable<Uint8Array>, options = {}): Promise<readonly Read[]> {
  const entries: Read[] = [];
  for await (const { header, body } of readTar(tar, options))
    entries.push({ header, body: Buffer.from(await collect(body, 1 << 30, "body")) });
  return entries;
}

/** Cut where a pipe might cut. */
async function* inChunks(content: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

const name = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((bytes) => Buffer.from(bytes).toString("latin1").replaceAll("\0", "/").replace(/\/+$/, "") || "x");

const entry = fc
  .record({
    name,
    type: fc.constantFrom("file", "hardlink", "symlink", "character", "block", "directory", "fifo"),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 2_097_150, max: 4_294_967_294 })),
    gid: fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.constant(2_097_152)),
    mtime: fc.bigInt({ min: -(10n ** 19n), max: 10n ** 20n }),
    linkname: name,
    uname: fc.constantFrom("", "root", "someone-with-a-name-that-is-too-long"),
    gname: fc.constantFrom("", "wheel"),
    major: fc.integer({ min: 0, max: 4095 }),
    minor: fc.integer({ min: 0, max: 1_048_575 }),
    xattrs: fc.array(
      fc.tuple(
        fc.constantFrom("user.a", "user.b=c", "user.%3D", "security.capability"),
        fc.uint8Array({ minLength: 0, maxLength: 200 }),
      ),
      { maxLength: 3 },
    ),
    body: fc.uint8Array({ maxLength: 3000 }),
  })
  .map(({ body, xattrs, ...fields }) => {
    const { type } = fields;
    const linked = type === "hardlink" || type === "symlink";
    const device = type === "character" || type === "block";
    const header = tarHeader({
      ...fields,
      type: type as TarHeader["type"],
      linkname: linked ? fields.linkname : "",
      major: device ? fields.major : 0,
      minor: device ? fields.minor : 0,
      size: type === "file" ? body.length : 0,
      xattrs: new Map(xattrs),
    });
    return { header, body: type === "file" ? body : new Uint8Array(0) };
  });

describe("what is written is read back", () => {
  test("every field of every kind of entry, however the stream is cut", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 8 }), fc.integer({ min: 1, max: 3000 }), async (entries, cut) => {
        const tar = await collect(writeTar(entries), 1 << 30, "tar");
        expect(tar.length % 512).toBe(0);
        expect(Buffer.compare(tar, tarOf(entries))).toBe(0);
        const read = await entriesOf(inChunks(tar, cut));
        expect(read.map(({ header }) => header)).toEqual(entries.map(({ header }) => header));
        for (const [index, { body }] of read.entries())
          expect(body.equals(Buffer.from(entries[index]?.body ?? []))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test("bodies that are larger than any buffer, streamed", async () => {
    const piece = Buffer.alloc(100_000, "abc");
    async function* body() {
      for (let index = 0; index < 30; index++) yield piece;
    }
    const header = tarHeader({ name: "large", type: "file", size: 3_000_000 });
    const read = await entriesOf(
      writeTar([{ header, body: body() }, { header: tarHeader({ name: "after", type: "fifo" }) }]),
    );
    expect(read.map((one) => [one.header.name, one.body.length])).toEqual([
      ["large", 3_000_000],
      ["after", 0],
    ]);
    expect(read[0]?.body.equals(Buffer.concat(Array.from({ length: 30 }, () => piece)))).toBe(true);
  });

  test("a size beyond what the plain header can say", async () => {
    const header = tarHeader({ name: "huge", type: "file", size: 9 * 2 ** 30 });
    let seen: TarHeader | undefined;
    await expect(async () => {
      for await (const found of readTar(bytesOf(encodeTarHeader(header)))) seen = found.header;
    }).rejects.toMatchObject({ code: "truncated" });
    expect(seen).toEqual(header);
  });

  test("bodies that nobody reads are skipped", async () => {
    const names: string[] = [];
    const image = randomImage(3, { layers: 1, entries: 60 });
    const tar = await collect(image.layers[0]?.open("tar") as AsyncIterable<Uint8Array>, 1 << 30, "tar");
    for await (const { header } of readTar(inChunks(tar, 700))) names.push(header.name);
    expect(names).toEqual((await entriesOf(bytesOf(tar))).map(({ header }) => header.name));
    expect(names.length).toBeGreaterThan(50);
  });
});

describe("GNU tar", () => {
  const forms = ["posix", "gnu", "ustar", "v7"] as const;

  test.each(forms)("its %s archives are read as they are", async (form) => {
    const directory = scratch();
    const long = `d/${"n".repeat(90)}`;
    run(
      "sh",
      "-c",
      `cd ${directory} && mkdir d && printf hello > d/file && ln d/file d/hard && ln -s file d/soft && : > ${long} && chmod 4755 d/file`,
    );
    if (form === "posix" || form === "gnu") {
      const deep = `${"deep/".repeat(40)}`;
      run(
        "sh",
        "-c",
        `cd ${directory} && mkdir -p ${deep} && printf x > ${deep}${"f".repeat(200)} && ln -s ${"t".repeat(150)} d/longlink && : > "$(printf 'd/\\377\\nbad')"`,
      );
    }
    const tar = join(directory, "../", `${directory.split("/").pop()}.tar`);
    run(
      "tar",
      "-C",
      directory,
      `--format=${form}`,
      "--sort=name",
      "--owner=:3000000",
      "--group=:7",
      ...(form === "ustar" || form === "v7" ? ["--owner=:1000"] : []),
      "-cf",
      tar,
      ".",
    );
    const entries = await entriesOf(bytesOf(readFileSync(tar)));
    const listed = run("tar", "--numeric-owner", "--quoting-style=literal", "--show-transformed-names", "-tf", tar);
    expect(entries.map(({ header }) => `${header.name}${header.type === "directory" ? "/" : ""}\n`).join("")).toBe(
      listed,
    );
    const find = (wanted: string) => entries.find(({ header }) => header.name === wanted);
    expect(find("./d/file")?.body.toString()).toBe("hello");
    expect(find("./d/file")?.header).toMatchObject({
      mode: 0o4755,
      gid: 7,
      uid: form === "ustar" || form === "v7" ? 1000 : 3_000_000,
    });
    expect(find("./d/hard")?.header).toMatchObject({ type: "hardlink", linkname: "./d/file" });
    expect(find("./d/soft")?.header).toMatchObject({ type: "symlink", linkname: "file" });
    run("rm", tar);
  });

  test("unpacks ours with the same names, modes, times, links and content", async () => {
    const directory = scratch();
    const tar = await collect(
      writeTar([
        { header: tarHeader({ name: "dir", type: "directory", mode: 0o750, mtime: 1_700_000_000_000_000_000n }) },
        {
          header: tarHeader({
            name: `dir/${"x".repeat(180)}`,
            type: "file",
            size: 5,
            mode: 0o640,
            mtime: 1_600_000_000_123_456_789n,
          }),
          body: Buffer.from("hello"),
        },
        { header: tarHeader({ name: byteString("dir/ünï\n\xff"), type: "file" }) },
        { header: tarHeader({ name: "dir/hard", type: "hardlink", linkname: `dir/${"x".repeat(180)}` }) },
        { header: tarHeader({ name: "dir/soft", type: "symlink", linkname: "y".repeat(140) }) },
        { header: tarHeader({ name: "dir/pipe", type: "fifo", mode: 0o600 }) },
      ]),
      1 << 20,
      "tar",
    );
    writeFileSync(join(directory, "our.tar"), tar);
    run("tar", "-C", directory, "-xpf", join(directory, "our.tar"));
    const shown = run("sh", "-c", `cd ${directory} && find dir -printf '%p %y %m %s %T@ %l %n|' | tr '|' '\\n' | sort`);
    expect(shown).toContain(`dir/${"x".repeat(180)} f 640 5 1600000000.1234567890  2`);
    expect(shown).toContain("dir/hard f 640 5 1600000000.1234567890  2");
    expect(shown).toContain(`dir/soft l 777 140 0.0000000000 ${"y".repeat(140)} 1`);
    expect(shown).toContain("dir/pipe p 600 0 0.0000000000  1");
    expect(shown).toContain(`${byteString("dir/ünï\n\xff")} f 644`);
  });

  test("finds nothing to complain about in a random image's layers", async () => {
    const directory = scratch();
    for (const [index, layer] of randomImage(11, { entries: 80 }).layers.entries()) {
      const path = join(directory, `${index}.tar`);
      writeFileSync(path, await collect(layer.open("tar"), 1 << 30, "tar"));
      expect(run("tar", "--warning=all", "-tf", path).length).toBeGreaterThan(0);
    }
  });
});

describe("damaged archives", () => {
  const tar = tarOf([
    { header: tarHeader({ name: "a", type: "file", size: 700, uid: 3_000_000 }), body: Buffer.alloc(700, 1) },
    { header: tarHeader({ name: "b", type: "directory" }) },
  ]);

  async function codeOf(content: Uint8Array): Promise<OciErrorCode | "fine"> {
    try {
      await entriesOf(inChunks(content, 333));
      return "fine";
    } catch (error) {
      return (error as { code: OciErrorCode }).code;
    }
  }

  test("one that is cut off anywhere is truncated", async () => {
    expect(await codeOf(tar)).toBe("fine");
    // Without its last zero block it still has an end mark.
    for (let length = 0; length < tar.length - 1024; length += 97)
      expect([length, await codeOf(tar.subarray(0, length))]).toEqual([length, "truncated"]);
  });

  test("a changed header is corrupt", async () => {
    for (const at of [0, 100, 130, 160, 257]) {
      const damaged = Uint8Array.from(tar);
      damaged[at] = (damaged[at] ?? 0) ^ 0x5a;
      expect([at, await codeOf(damaged)]).toEqual([at, "corrupt"]);
    }
  });

  test("text is no tar", async () => {
    await expect(entriesOf(bytesOf(Buffer.alloc(2048, "hello ")))).rejects.toMatchObject({
      code: "corrupt",
      hint: expect.stringContaining("no tar"),
    });
  });

  test("a missing end is accepted where it is said to be optional", async () => {
    const cut = tar.subarray(0, tar.length - 1024);
    expect(await entriesOf(bytesOf(cut), { end: "optional" })).toHaveLength(2);
  });

  test("sparse files are refused by name", async () => {
    const directory = scratch();
    run(
      "sh",
      "-c",
      `cd ${directory} && truncate -s 10M hole && echo x >> hole && tar --format=posix --sparse -cf s.tar hole && tar --format=gnu --sparse -cf g.tar hole`,
    );
    for (const file of ["s.tar", "g.tar"])
      await expect(entriesOf(bytesOf(readFileSync(join(directory, file))))).rejects.toMatchObject({
        code: "unsupported",
        hint: expect.stringContaining("--sparse"),
      });
  });

  test("a body that is not as long as promised is refused by the writer", async () => {
    const header = tarHeader({ name: "a", type: "file", size: 10 });
    for (const length of [9, 11])
      for (const body of [Buffer.alloc(length), bytesOf(Buffer.alloc(length))])
        await expect(collect(writeTar([{ header, body }]), 1 << 20, "tar")).rejects.toMatchObject({
          code: "size-mismatch",
        });
  });

  test("names that no tar can hold are refused by the writer", () => {
    for (const bad of ["", "a\0b", "snow ☃"])
      expect(() => encodeTarHeader(tarHeader({ name: bad, type: "file" }))).toThrow(/cannot be in a tar/);
  });
});
