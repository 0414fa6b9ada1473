import type { Socket } from "node:net";

/** A way to a daemon. */
export interface Transport {
  /** For messages: the address, as a person would write it. */
  readonly address: string;
  /** What is tried, for messages: "the socket /run/buildkit/buildkitd.sock". */
  readonly attempt: string;
  /** What to check when it fails, a sentence. */
  readonly advice: string;
  /**
   * Opens it; the daemon expects HTTP/2 from the first byte. Rejects, with any error, when nothing answers or `signal`
   * is aborted.
   */
  dial(signal: AbortSignal): Promise<Link>;
}

export interface Link {
  /**
   * Owned by the caller; destroying it releases everything behind it. A socket of the system, TLS or not: on streams
   * made in JavaScript Node's HTTP/2 client loses answers that arrive in one piece.
   */
  readonly socket: Socket;
  /** Asked once the socket has ended: why, if something behind it knows, such as a process that complained and left. */
  whyEnded?(): Promise<string | undefined>;
}

/** Resolves on `event`; destroys the socket when it fails or the signal is aborted first. */
export function opened(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<Link> {
  return new Promise((resolve, reject) => {
    const done = (finish: () => void) => {
      socket.off(event, onEvent).off("error", onError);
      signal.removeEventListener("abort", onAbort);
      finish();
    };
    const onEvent = () => done(() => resolve({ socket }));
    const onError = (error: Error) => done(() => reject(error));
    const onAbort = () =>
      done(() => {
        socket.on("error", () => {}).destroy();
        reject(signal.reason);
      });
    socket.once(event, onEvent).once("error", onError);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
