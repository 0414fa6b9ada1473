import { posix } from "node:path";
import type { VertexLog } from "@melange2/buildkit-client";
import type { RunOptions } from "@melange2/core";
import type { SolvedState } from "./building-job.ts";
import type { UnitResult } from "./run-result.ts";
import { createStepSplitter } from "./step-splitter.ts";

const streams = ["stdout", "stderr"] as const;

/** The daemon writes this into a log where it leaves something out. */
const clipNotice = Buffer.from("\n[output clipped, log limit ");

/** A file may have any size; an answer of the daemon holds less than 16 MiB, and is in memory several times over. */
const pieceBytes = 256 << 10;

export interface KeptOutput {
  readonly status: SolvedState;
  readonly folder: string;
  readonly sizes: UnitResult["output"];
}

/** The output of a unit's steps: as it comes, and in the end whatever of it the daemon has left out of its log. */
export interface UnitOutput {
  live(log: Pick<VertexLog, "stream" | "data">): void;
  /** Tells the rest, which the wrapper has kept in files of the folder. Nothing that comes live afterwards counts. */
  finish(kept: KeptOutput, signal: AbortSignal): Promise<void>;
}

export function unitOutput(marker: string, steps: number, { onOutput, onStep }: RunOptions): UnitOutput {
  let current = 0;
  const begin = (step: number) => {
    for (; current < step; current++) {
      onStep?.(current, "end");
      onStep?.(current + 1, "start");
    }
  };
  const sides = {
    stdout: side("stdout"),
    stderr: side("stderr"),
  };

  function side(stream: "stdout" | "stderr") {
    const splitter = createStepSplitter(marker, steps, (step, data) => onOutput({ step, stream, data }), begin);
    return { splitter, taken: 0, live: true };
  }

  return {
    live({ stream, data }) {
      const one = sides[stream];
      if (!one.live) return;
      const clipped = Buffer.from(data.buffer, data.byteOffset, data.length).indexOf(clipNotice);
      if (clipped >= 0) one.live = false;
      const whole = clipped >= 0 ? data.subarray(0, clipped) : data;
      one.taken += whole.length;
      one.splitter.write(whole);
    },
    async finish({ status, folder, sizes }, signal) {
      for (const stream of streams) {
        const one = sides[stream];
        one.live = false;
        const size = sizes[stream];
        while (one.taken < size) {
          const range = { offset: one.taken, length: Math.min(pieceBytes, size - one.taken) };
          const piece = await status.readFile(posix.join(folder, stream), signal, range);
          if (piece.length === 0) break;
          one.taken += piece.length;
          one.splitter.write(piece);
        }
        one.splitter.end();
      }
      onStep?.(current, "end");
    },
  };
}
