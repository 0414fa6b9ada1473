import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import type { CopyOrder } from "./copy-in-thread.ts";

const { from, to } = workerData as CopyOrder;
// A small buffer stays in the processor's cache between reading and writing.
const buffer = Buffer.allocUnsafeSlow(256 * 1024);
const source = openSync(from, "r");
for (let length = readSync(source, buffer); length > 0; length = readSync(source, buffer))
  for (let done = 0; done < length; ) done += writeSync(to, buffer, done, length - done);
closeSync(source);
