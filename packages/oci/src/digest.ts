import { createHash } from "node:crypto";
import type { Bytes } from "./bytes.ts";
import { OciError } from "./error.ts";

/** An OCI digest, `sha256:` and 64 lowercase hex digits. */
export type Digest = `sha256:${string}`;

const pattern = /^sha256:[0-9a-f]{64}$/;

export function isDigest(value: unknown): value is Digest {
  return typeof value === "string" && pattern.test(value);
}

/** Throws `unsupported` for another algorithm, `invalid` for anything that is no digest. `what` names the place in the message. */
export function parseDigest(value: unknown, what: string): Digest {
  if (isDigest(value)) return value;
  if (
    typeof value === "string" &&
    /^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/.test(value) &&
    !value.startsWith("sha256:")
  )
    throw new OciError(
      "unsupported",
      `${what} has the digest ${value}; only sha256 is supported`,
      "Convert the image to sha256 digests.",
    );
  throw new OciError(
    "invalid",
    `${what} is no digest: ${JSON.stringify(value)}`,
    "Expected sha256: and 64 lowercase hex digits.",
  );
}

/** The 64 hex digits: the file name of a blob in an OCI layout. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

export function digestOf(content: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

/** Digest and size of what was given to `update` so far; `result` ends it. */
export interface Digester {
  update(chunk: Uint8Array): void;
  result(): { readonly digest: Digest; readonly size: number };
}

export function digester(): Digester {
  const hash = createHash("sha256");
  let size = 0;
  return {
    update(chunk) {
      hash.update(chunk);
      size += chunk.length;
    },
    result: () => ({ digest: `sha256:${hash.digest("hex")}`, size }),
  };
}

/** Reads to the end. */
export async function digestOfBytes(bytes: Bytes): Promise<{ readonly digest: Digest; readonly size: number }> {
  const sum = digester();
  for await (const chunk of bytes) sum.update(chunk);
  return sum.result();
}

export interface ExpectedContent {
  readonly digest: Digest;
  readonly size?: number | undefined;
}

/**
 * Passes bytes on and checks them against what was promised. Rejects with `size-mismatch` as soon as too much came or at an early end,
 * with `digest-mismatch` at the end: whoever keeps the bytes must not use them before the stream has ended.
 */
export async function* verified(bytes: Bytes, expected: ExpectedContent, what: string): Bytes {
  const check = verifier(expected, what);
  for await (const chunk of bytes) {
    check.update(chunk);
    yield chunk;
  }
  check.end();
}

/** The same check for bytes that come by calls: `update` throws as soon as too much came, `end` when they are not what was promised. */
export function verifier(expected: ExpectedContent, what: string): { update(chunk: Uint8Array): void; end(): void } {
  const sum = digester();
  let size = 0;
  return {
    update(chunk) {
      size += chunk.length;
      if (expected.size !== undefined && size > expected.size)
        throw new OciError("size-mismatch", `${what} is longer than the ${expected.size} bytes announced`, corruptHint);
      sum.update(chunk);
    },
    end() {
      if (expected.size !== undefined && size < expected.size)
        throw new OciError("size-mismatch", `${what} ends after ${size} of ${expected.size} bytes`, corruptHint);
      const { digest } = sum.result();
      if (digest !== expected.digest)
        throw new OciError("digest-mismatch", `${what} should be ${expected.digest} but is ${digest}`, corruptHint);
    },
  };
}

const corruptHint = "The content is damaged or was changed: fetch or make it again.";
