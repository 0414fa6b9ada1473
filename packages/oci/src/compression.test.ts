import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { installed, run, scratch } from "../test/programs.ts";
import { bytesOf, collect } from "./bytes.ts";
import { compress, decompress, detectCompression, peek } from "./compression.ts";

/** Three members and a bit, half of it noise. */
function sample(): Buffer {
  const noise = Buffer.concat(
    Array.from({ length: 50_000 }, (_, index) => createHash("sha256").update(String(index)).digest()),
  );
  return Buffer.concat([noise, Buffer.alloc(1_600_000, "text "), Buffer.from("end")]);
}

const all = (bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> => collect(bytes, 1 << 30, "bytes");

async function* inChunks(content: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

describe.each(["gzip", "zstd"] as const)("%s", (kind) => {
  test("comes back, and does not depend on how the input was cut", async () => {
    const content = sample();
    const packed = await all(compress(bytesOf(content), kind));
    expect(packed.length).toBeLessThan(content.length * 0.6);
    expect(Buffer.compare(packed, await all(compress(inChunks(content, 77_777), kind)))).toBe(0);
    expect(Buffer.compare(await all(decompress(inChunks(packed, 50_001))), content)).toBe(0);
    expect(detectCompression(packed)).toBe(kind);
  });

  test("nothing packs into something that unpacks to nothing", async () => {
    const packed = await all(compress(bytesOf(), kind));
    expect(packed.length).toBeGreaterThan(0);
    expect(await all(decompress(bytesOf(packed)))).toHaveLength(0);
  });

  test(`the ${kind} program reads it as one stream`, async ({ skip }) => {
    skip(!installed(kind), `${kind} is not installed`);
    const path = join(scratch(), "packed");
    const content = sample();
    writeFileSync(path, await all(compress(bytesOf(content), kind)));
    const sum = run("sh", "-c", `${kind} -dc < ${path} | sha256sum`).slice(0, 64);
    expect(sum).toBe(createHash("sha256").update(content).digest("hex"));
  });

  test("cut anywhere it is truncated, changed it is corrupt", async () => {
    const packed = await all(compress(bytesOf(sample().subarray(0, 1_200_000)), kind));
    for (const length of [7, 1000, packed.length - 9, packed.length - 1])
      await expect(all(decompress(bytesOf(packed.subarray(0, length))))).rejects.toMatchObject({ code: "truncated" });
    const damaged = Uint8Array.from(packed);
    damaged[packed.length >> 1] = (damaged[packed.length >> 1] ?? 0) ^ 255;
    await expect(all(decompress(bytesOf(damaged)))).rejects.toMatchObject({ code: "corrupt" });
  });

  test("an error of the source comes through as it is", async () => {
    const failure = new Error("disk on fire");
    async function* failing() {
      yield sample().subarray(0, 10_000);
      throw failure;
    }
    await expect(all(compress(failing(), kind))).rejects.toBe(failure);
    const packed = await all(compress(bytesOf(sample()), kind));
    async function* cut() {
      yield packed.subarray(0, 10_000);
      throw failure;
    }
    await expect(all(decompress(cut()))).rejects.toBe(failure);
  });

  test("a reader that stops early releases the source", async () => {
    const packed = await all(compress(bytesOf(sample()), kind));
    let released = false;
    async function* source() {
      try {
        yield* inChunks(packed, 1000);
      } finally {
        released = true;
      }
    }
    for await (const _ of decompress(source())) break;
    await expect.poll(() => released).toBe(true);
  });
});

test("plain bytes pass, xz and bzip2 are named", async () => {
  expect(Buffer.from(await all(decompress(bytesOf(Buffer.from("abc"))))).toString()).toBe("abc");
  await expect(all(decompress(bytesOf(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]))))).rejects.toThrow(
    /compressed with xz/,
  );
  await expect(all(decompress(bytesOf(Buffer.from("BZh91AY"))))).rejects.toThrow(/compressed with bzip2/);
});

test("peeking takes nothing away", async () => {
  const { head, all: rest } = await peek(inChunks(Buffer.from("0123456789"), 3), 4);
  expect(Buffer.from(head).toString()).toBe("0123");
  expect(Buffer.from(await all(rest)).toString()).toBe("0123456789");
});
