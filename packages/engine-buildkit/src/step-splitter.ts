import { boundaryMark } from "./wrapper-script.ts";

/** Takes one stream of a unit's output apart, wherever its pieces are cut. */
export interface StepSplitter {
  write(data: Uint8Array): void;
  end(): void;
}

/** `onBoundary` is called with the number of the step that begins. A stream of one step passes as it is. */
export function createStepSplitter(
  marker: string,
  steps: number,
  onData: (step: number, data: Uint8Array) => void,
  onBoundary: (step: number) => void,
): StepSplitter {
  const mark = Buffer.from(`${boundaryMark}${marker} `);
  let step = 0;
  let held = Buffer.alloc(0);
  const tell = (data: Uint8Array) => {
    if (data.length > 0) onData(step, data);
  };
  return {
    write(data) {
      if (steps === 1) return tell(data);
      let text = Buffer.concat([held, data]);
      for (;;) {
        const at = text.indexOf(mark);
        const newline = at < 0 ? -1 : text.indexOf("\n", at);
        if (newline < 0) {
          const cut = at < 0 ? beginningOf(mark, text) : at;
          tell(text.subarray(0, cut));
          held = text.subarray(cut);
          return;
        }
        tell(text.subarray(0, at));
        step = Number(text.subarray(at + mark.length, newline).toString());
        onBoundary(step);
        text = text.subarray(newline + 1);
      }
    },
    end() {
      tell(held);
      held = Buffer.alloc(0);
    },
  };
}

/** Where the end of the text may be the beginning of the mark; its length where it is not. */
function beginningOf(mark: Buffer, text: Buffer): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--) {
    if (text.subarray(text.length - length).equals(mark.subarray(0, length))) return text.length - length;
  }
  return text.length;
}
