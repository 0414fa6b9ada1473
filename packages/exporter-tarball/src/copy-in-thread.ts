import { once } from "node:events";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

export interface CopyOrder {
  /** Path of a file. */
  readonly from: string;
  /** Descriptor of an open file: what is copied goes where its writing stands. */
  readonly to: number;
}

/** A file on its way into another one, in a thread of its own. Disposing it ends the thread. */
export interface Copy extends AsyncDisposable {
  /** Resolves when all is copied; rejects with the system's error. */
  readonly finished: Promise<void>;
}

/** The thread's program has the extension that this module has: `.ts` among the sources, `.js` as it is shipped. */
const program = new URL(`./copy-thread${extname(import.meta.url)}`, import.meta.url);

export function copyInThread(order: CopyOrder): Copy {
  const worker = new Worker(program, { workerData: order });
  const finished = once(worker, "exit").then(() => undefined);
  finished.catch(() => {}); // whoever disposes the copy early does not wait for it
  return {
    finished,
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}
