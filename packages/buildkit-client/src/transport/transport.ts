import type { Duplex } from "node:stream";

/** A way to a daemon. */
export interface Transport {
  /** For messages: the address, as a person would write it. */
  readonly address: string;
  /** What is tried, for messages: "the socket /run/buildkit/buildkitd.sock". */
  readonly attempt: string;
  /** What to check when it fails, a sentence. */
  readonly advice: string;
  /**
   * A stream on which the daemon expects HTTP/2 from its first byte. The caller owns it; destroying it releases
   * everything behind it. Rejects, with any error, when nothing answers or `signal` is aborted.
   */
  dial(signal: AbortSignal): Promise<Duplex>;
}

/** Resolves on the first of `event` and `error`; destroys the stream when it fails or the signal is aborted first. */
export function settled(stream: Duplex, event: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const done = (finish: () => void) => {
      stream.off(event, onEvent).off("error", onError);
      signal.removeEventListener("abort", onAbort);
      finish();
    };
    const onEvent = () => done(() => resolve(stream));
    const onError = (error: Error) => done(() => reject(error));
    const onAbort = () =>
      done(() => {
        stream.on("error", () => {}).destroy();
        reject(signal.reason);
      });
    stream.once(event, onEvent).once("error", onError);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
