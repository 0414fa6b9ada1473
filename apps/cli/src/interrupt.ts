import { MelangeError } from "@melange2/core";

/** Milliseconds in which one Ctrl-C may come several times: from the terminal, and from npm or a supervisor that passes it on. */
const oneInterrupt = 1000;

/**
 * An AbortSignal that Ctrl-C or SIGTERM aborts: the running step is stopped and its state kept. A second Ctrl-C, a second later or more,
 * ends the process at once; the engine's own processes die with it.
 */
export function interruptSignal(): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  let first: number | undefined;
  const onSignal = () => {
    if (first === undefined) {
      first = performance.now();
      controller.abort(
        new MelangeError("interrupted", "interrupted", { hint: "Nothing was left half done; start it again." }),
      );
    } else if (performance.now() - first >= oneInterrupt) {
      process.exit(130);
    }
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onSignal);
  return {
    signal: controller.signal,
    dispose: () => void process.off("SIGINT", onSignal).off("SIGTERM", onSignal).off("SIGHUP", onSignal),
  };
}
