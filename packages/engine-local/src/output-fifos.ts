import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { cannotStart, toolFailed } from "./foreign-errors.ts";
import type { Host } from "./host.ts";

/**
 * Pairs of fifos for the output of steps, used again and again. Fifos because Node's own pipes are sockets, on which a
 * step's `echo > /dev/stderr` fails.
 */
export interface FifoPool {
  /** Resolves when `count` pairs that nobody else uses are there. */
  take(count: number): Promise<readonly FifoPair[]>;
  /** For pairs whose writers are all gone. */
  giveBack(pairs: readonly FifoPair[]): void;
}

export interface FifoPair {
  readonly stdout: string;
  readonly stderr: string;
}

export function fifoPool(host: Host, folder: string): FifoPool {
  const free: FifoPair[] = [];
  let made = 0;
  return {
    async take(count) {
      const missing = count - free.length;
      if (missing > 0) {
        const fresh = Array.from({ length: missing }, () => pair(folder, made++));
        await makeFifos(
          host,
          fresh.flatMap(({ stdout, stderr }) => [stdout, stderr]),
        );
        free.push(...fresh);
      }
      return free.splice(0, count);
    },
    giveBack(pairs) {
      free.push(...pairs);
    },
  };
}

function pair(folder: string, number: number): FifoPair {
  return { stdout: join(folder, `${number}.out`), stderr: join(folder, `${number}.err`) };
}

/** Anyone's to open, since a step may run as any user; the folder around them is private. */
async function makeFifos(host: Host, paths: readonly string[]): Promise<void> {
  const child = spawn(host.tool("mkfifo"), ["-m", "666", ...paths], {
    env: host.helperEnv,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const [code] = await once(child, "close").catch((cause) => {
    throw cannotStart("mkfifo", cause);
  });
  if (code !== 0) throw toolFailed("making fifos", code, said);
}

/** The reading end of one fifo. */
export interface FifoReader {
  /** Hands over, now, everything that was written up to now. */
  drain(): void;
  /** Lets go of our own writing end: from now on the last writer's exit ends the stream. */
  noMoreWriters(): void;
  /** Resolves at the end of the stream. */
  readonly ended: Promise<void>;
}

/** Our own writing end keeps the stream open until the step has opened its one. */
export function readFifo(path: string, onData: (data: Uint8Array) => void): FifoReader {
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let writing: number | undefined = openSync(path, constants.O_WRONLY);
  const socket = new Socket({ fd: reading, readable: true, writable: false });
  const ended = new Promise<void>((resolve, reject) => {
    socket.once("error", reject).once("close", () => resolve());
  });
  ended.catch(() => {});
  socket.on("data", onData);
  let open = true;
  socket.once("close", () => {
    open = false;
  });
  return {
    ended,
    drain() {
      while (open) {
        const data = readNow(reading);
        if (data === undefined) return;
        onData(data);
      }
    },
    noMoreWriters() {
      if (writing !== undefined) closeSync(writing);
      writing = undefined;
    },
  };
}

/** What is in the fifo; undefined when it is empty. */
function readNow(fd: number): Uint8Array | undefined {
  const buffer = Buffer.allocUnsafe(64 * 1024);
  try {
    const length = readSync(fd, buffer);
    return length === 0 ? undefined : buffer.subarray(0, length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
    throw error;
  }
}
