/** Hands items from callbacks to one consumer. */
export interface Queue<T> extends AsyncIterable<T> {
  /** Resolves when the consumer has taken the item, or will never take any more. */
  push(item: T): Promise<void>;
  /** What is queued is still consumed. */
  end(): void;
}

export function createQueue<T>(): Queue<T> {
  const items: { item: T; taken: () => void }[] = [];
  let ended = false;
  let abandoned = false;
  let wake: (() => void) | undefined;
  return {
    push(item) {
      if (abandoned || ended) return Promise.resolve();
      return new Promise((taken) => {
        items.push({ item, taken });
        wake?.();
      });
    },
    end() {
      ended = true;
      wake?.();
    },
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          const next = items.shift();
          if (next !== undefined) {
            next.taken();
            yield next.item;
          } else if (ended) {
            return;
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
            wake = undefined;
          }
        }
      } finally {
        abandoned = true;
        for (const { taken } of items.splice(0)) taken();
      }
    },
  };
}
