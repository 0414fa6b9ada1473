import { createHash } from "node:crypto";
import { matcherOf, secretScan } from "@melange2/core";
import { median } from "./samples.ts";

const bytes = 150_000_000;
const piece = 64 * 1024;
const values = [
  "hunter2-hunter2",
  "ghp_Zk3Pq81LxWw0aYb7T2",
  "s3cr3t/value+with?signs",
  "correct horse battery",
  "AKIA1234567890ABCD",
];

/** Seconds to look for five secrets, in every form, in 150 MB of text and of what looks like programs; the median of the rounds. */
export function measureSearch(rounds: number): number {
  const names = values.map((_, index) => `S${index}`);
  const matcher = matcherOf({ names, get: (name) => values[Number(name.slice(1))] });
  const pieces = [textPiece(), noisePiece()];
  const round = (): number => {
    const scan = secretScan(matcher);
    const started = performance.now();
    for (let at = 0; at < bytes; at += piece)
      if (scan(pieces[(at / piece) % 2] as Uint8Array)) throw new Error("a secret was found where none is");
    return (performance.now() - started) / 1000;
  };
  round();
  return median(Array.from({ length: rounds }, round));
}

function textPiece(): Uint8Array {
  const line =
    "export PATH=/usr/local/bin:/usr/bin:/bin; make -j2 all install DESTDIR=/home/build/melange-out/pkg # a step\n";
  return Buffer.from(line.repeat(Math.ceil(piece / line.length))).subarray(0, piece);
}

function noisePiece(): Uint8Array {
  const blocks = Array.from({ length: piece / 64 }, (_, index) => createHash("sha512").update(String(index)).digest());
  return Buffer.concat(blocks);
}
