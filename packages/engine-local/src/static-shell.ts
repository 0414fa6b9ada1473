import { closeSync, openSync, readSync } from "node:fs";
import type { Host } from "./host.ts";

/** The path of a busybox of the host's that runs in any root; undefined where there is none. */
export function staticShell(host: Host): string | undefined {
  const busybox = host.findTool("busybox");
  return busybox !== undefined && isStatic(busybox) ? busybox : undefined;
}

const programInterpreter = 3;

/** Whether a 64-bit ELF program, little end first, names no interpreter: it then loads nothing but itself. */
function isStatic(path: string): boolean {
  const bytes = Buffer.alloc(4096);
  const file = openSync(path, "r");
  try {
    readSync(file, bytes, 0, bytes.length, 0);
  } finally {
    closeSync(file);
  }
  if (bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) return false;
  const start = Number(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  const kinds = Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => start + index * size)
    .filter((at) => at + 4 <= bytes.length)
    .map((at) => bytes.readUInt32LE(at));
  return kinds.length > 0 && !kinds.includes(programInterpreter);
}
