import { constants } from "node:os";
import { MelangeError } from "@melange2/core";

/** Milliseconds in which one Ctrl-C may come several times: from the terminal, and from npm or a supervisor that passes it on. */
const oneInterrupt = 1000;

/** Milliseconds in which readers of standard output and error may take what an interrupted command has said. */
const readersTime = 1000;

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Interrupt {
  readonly signal: AbortSignal;
  /** What an interrupted process ends with, as a shell says it: 130 by Ctrl-C (SIGINT), 143 by SIGTERM, 129 by SIGHUP. */
  readonly exitCode: number;
  /** The command has done its work. Where it was interrupted, a reader that does not read cannot keep the process. */
  dispose(): void;
}

/**
 * An AbortSignal that Ctrl-C, SIGTERM or SIGHUP aborts: the running step is stopped and its state kept. A second Ctrl-C, a second later or more,
 * ends the process at once; the engine's own processes die with it.
 */
export function interruptSignal(): Interrupt {
  const controller = new AbortController();
  let first: number | undefined;
  let exitCode = 128 + constants.signals.SIGINT;
  const onSignal = (name: NodeJS.Signals) => {
    if (first === undefined) {
      first = performance.now();
      exitCode = 128 + constants.signals[name];
      controller.abort(
        new MelangeError("interrupted", "interrupted", { hint: "Nothing was left half done; start it again." }),
      );
    } else if (performance.now() - first >= oneInterrupt) {
      process.exit(exitCode);
    }
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    dispose() {
      for (const name of signals) process.off(name, onSignal);
      if (controller.signal.aborted) setTimeout(() => process.exit(), readersTime).unref();
    },
  };
}
