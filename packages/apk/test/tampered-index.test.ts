import { gzipSync } from "node:zlib";
import { byteString, tarHeader, tarOf } from "@melange2/oci";
import { makeIndex, makePackage, testKey } from "@melange2-tooling/fixtures/apk-packages";
import { describe, expect, test } from "vitest";
import { isApkError, type PackageIndex, publicKey, readIndexArchive } from "../src/index.ts";

const key = testKey();
const packages = ["a", "b", "c"].map((name) => makePackage({ name, lines: ["depend = so:libc.so.6"] }));
const index = makeIndex({ packages, key });
const older = makeIndex({ packages: packages.slice(1), key });
const keys = [publicKey(key.name, key.publicPem)];
/** Where the signature's gzip member ends, and what is signed begins. */
const signed = index.indexOf(Buffer.from([0x1f, 0x8b, 8]), 1);

const read = (bytes: Uint8Array): Promise<PackageIndex> => readIndexArchive(bytes, { what: "the index", keys });

/** Undefined: it was refused, in words of ours. */
async function taken(bytes: Uint8Array): Promise<PackageIndex | undefined> {
  try {
    return await read(bytes);
  } catch (error) {
    if (!isApkError(error)) throw error;
    expect(error.message).toContain("the index");
    return undefined;
  }
}

test("as it was made, it is taken", async () => {
  expect((await read(index)).packages.map(({ name }) => name)).toEqual(["a", "b", "c"]);
  expect(signed).toBeGreaterThan(0);
});

test("with any byte changed, added or missing, it is refused, or says nothing else (seed 20261201, 600 of them)", async () => {
  let state = 20261201;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const whole = await read(index);
  for (let count = 0; count < 600; count++) {
    const at = random(index.length);
    const [before, behind] = [index.subarray(0, at), index.subarray(at + (count % 3 === 2 ? 0 : 1))];
    const byte = ((index[at] ?? 0) + 1 + random(255)) % 256;
    const bytes = Buffer.concat([before, count % 3 === 0 ? Buffer.alloc(0) : Buffer.of(byte), behind]);
    const found = await taken(bytes);
    // Of the signature's own member, some bytes mean nothing, such as the time in its gzip header. Of what is signed, all of them count.
    if (found === undefined) continue;
    expect({ at, packages: found.packages }).toEqual({ at: Math.min(at, signed - 1), packages: whole.packages });
  }
});

test.each([1, 2, 8, 100, 511])("cut off by %i bytes, it is refused", async (bytes) => {
  expect(await taken(index.subarray(0, index.length - bytes))).toBeUndefined();
});

describe("a signature", () => {
  const ofOlder = older.subarray(0, older.indexOf(Buffer.from([0x1f, 0x8b, 8]), 1));

  test.each<[string, () => Uint8Array, RegExp]>([
    ["that is missing", () => index.subarray(signed), /is not signed/],
    ["of another index", () => Buffer.concat([ofOlder, index.subarray(signed)]), /does not fit its signature/],
    ["by an unknown key", () => makeIndex({ packages, key: testKey("stranger.rsa.pub") }), /stranger\.rsa\.pub/],
    ["by another key of the same name", () => makeIndex({ packages, key: testKey(key.name) }), /does not fit/],
    ["that something unsigned follows", () => Buffer.concat([index, index.subarray(signed)]), /does not fit/],
    ["that two indexes follow", () => Buffer.concat([index, older]), /does not fit/],
    ["that stands twice", () => Buffer.concat([index.subarray(0, signed), index]), /does not fit/],
  ])("%s is refused", async (_, bytes, message) => {
    await expect(read(bytes())).rejects.toMatchObject({ code: "signature", message: expect.stringMatching(message) });
  });
});

describe("without signatures, too,", () => {
  const unsigned = (bytes: Uint8Array) => readIndexArchive(bytes, { what: "the index", keys: "ignored" });
  const packed = (files: Readonly<Record<string, string>>) =>
    gzipSync(
      tarOf(
        Object.entries(files).map(([name, content]) => ({
          header: tarHeader({ name: byteString(name), type: "file", size: content.length }),
          body: Buffer.from(content),
        })),
      ),
    );

  test("an index that unpacks to more than 300 MiB is refused, in one member or in many", async () => {
    const zeros = gzipSync(Buffer.alloc(101 << 20), { level: 1 });
    const bombs = [gzipSync(Buffer.alloc((300 << 20) + 1), { level: 1 }), Buffer.concat([zeros, zeros, zeros])];
    for (const bomb of bombs) await expect(unsigned(bomb)).rejects.toMatchObject({ code: "limit" });
  });

  test("a line of more than 1 MiB is refused by its number", async () => {
    const bomb = packed({ APKINDEX: `P:a\nT:${"x".repeat(1 << 20)}\n\n` });
    await expect(unsigned(bomb)).rejects.toMatchObject({ code: "limit", message: expect.stringContaining("line 2") });
  });

  test.each(["../../etc/passwd", "/etc/passwd", "APKINDEX.more"])("%s in it is refused", async (name) => {
    await expect(unsigned(packed({ APKINDEX: "P:a\n\n", [name]: "x" }))).rejects.toMatchObject({
      code: "index",
      message: expect.stringContaining(name),
    });
  });
});
