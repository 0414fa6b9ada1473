import type { ByteSink, Bytes } from "@melange2/core";

/**
 * What `produce` writes into its sink, as a stream to be read; ends when it resolves, fails with what it rejects with. Reading no further
 * aborts `ended`, and waits for `produce` to be over.
 */
export async function* pipeToBytes(produce: (sink: ByteSink, ended: AbortSignal) => Promise<unknown>): Bytes {
  const stop = new AbortController();
  const chunks: Uint8Array[] = [];
  let over = false;
  let wakeReader = () => {};
  let wakeWriter = () => {};
  const sink: ByteSink = {
    async write(chunk) {
      chunks.push(chunk);
      wakeReader();
      await new Promise<void>((resolve) => {
        wakeWriter = resolve;
        if (stop.signal.aborted || chunks.length === 0) resolve();
      });
    },
    close: async () => {},
  };
  const producing = produce(sink, stop.signal).finally(() => {
    over = true;
    wakeReader();
  });
  producing.catch(() => {});
  try {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        wakeWriter();
        yield chunk;
      } else if (over) {
        await producing;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wakeReader = resolve;
        });
      }
    }
  } finally {
    stop.abort();
    wakeWriter();
    await producing.catch(() => {});
  }
}
