import { MelangeError } from "@melange2/core";

/**
 * An AbortSignal that Ctrl-C or SIGTERM aborts: the running step is stopped and its state kept. A second Ctrl-C ends the process at
 * once; the engine's own processes die with it.
 */
export function interruptSignal(): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(
      new MelangeError("interrupted", "interrupted", { hint: "Nothing was left half done; start it again." }),
    );
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onSignal);
  return {
    signal: controller.signal,
    dispose: () => void process.off("SIGINT", onSignal).off("SIGTERM", onSignal).off("SIGHUP", onSignal),
  };
}
