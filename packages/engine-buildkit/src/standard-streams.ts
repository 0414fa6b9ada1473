import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { PassThrough } from "node:stream";
import type { ContainerProcess, TerminalSize } from "@melange2/buildkit-client";
import { createStepSplitter } from "./step-splitter.ts";

/** This process's own streams for one in a container. Disposing gives them back as they were. */
export interface StandardStreams extends Disposable {
  readonly process: Pick<ContainerProcess, "stdin" | "onOutput" | "terminal">;
  /** The words to run instead of these. */
  wrapped(argv: readonly string[]): readonly string[];
}

/** `interactive`, or where both are a terminal anyway: the process gets a terminal of its own, and Ctrl-C is its business. */
export function openStreams(interactive: boolean): StandardStreams {
  const { stdin, stdout } = process;
  return interactive || (stdin.isTTY && stdout.isTTY) ? terminalStreams() : plainStreams();
}

function terminalStreams(): StandardStreams {
  const { stdin, stdout } = process;
  stdin.setRawMode(true);
  // Node's raw mode goes on to translate newlines, which the terminal in the container has done. Without stty it is done twice.
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  return {
    process: {
      stdin,
      onOutput: (_, data) => written(stdout, data),
      terminal: { size: sizeOf(stdout), onResize },
    },
    wrapped: (argv) => argv,
    [Symbol.dispose]() {
      stdin.setRawMode(false);
    },
  };
}

// Older daemons wait for the end of a process's input before they tell that it has ended: it says so itself, on standard error.
const tellingItsEnd = `"$@"; code=$?; printf '\\001%s 1\\n' "$0" >&2; exit $code`;

function plainStreams(): StandardStreams {
  const marker = randomUUID();
  const input = new PassThrough();
  const { stdin, stderr } = process;
  // What is typed at a terminal is not for a process that writes to a file.
  if (stdin.isTTY) input.end();
  else stdin.pipe(input);
  let room: void | Promise<void>;
  const errors = createStepSplitter(
    marker,
    2,
    (_, data) => {
      room = written(stderr, data);
    },
    () => input.end(),
  );
  return {
    process: {
      stdin: input,
      onOutput: (stream, data) => {
        if (stream === "stdout") return written(process.stdout, data);
        room = undefined;
        errors.write(data);
        return room;
      },
    },
    wrapped: (argv) => ["/bin/sh", "-c", tellingItsEnd, marker, ...argv],
    [Symbol.dispose]() {
      errors.end();
      stdin.unpipe(input).pause();
    },
  };
}

function onResize(listener: (size: TerminalSize) => void): () => void {
  const { stdout } = process;
  const tell = () => listener(sizeOf(stdout));
  stdout.on("resize", tell);
  return () => void stdout.off("resize", tell);
}

const sizeOf = ({ rows, columns }: NodeJS.WriteStream): TerminalSize => ({ rows, columns });

/** Resolves when there is room for more. A reader that has gone away is no reason to stop the process. */
function written(stream: NodeJS.WriteStream, data: Uint8Array): void | Promise<void> {
  if (stream.destroyed || stream.write(data)) return;
  return new Promise((resolve) => {
    const on = () => {
      stream.off("drain", on).off("close", on).off("error", on);
      resolve();
    };
    stream.on("drain", on).on("close", on).on("error", on);
  });
}
