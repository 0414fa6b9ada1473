import type { Progress } from "./progress.ts";

/** One event a line, for programs. */
export function rawjsonProgress(output: NodeJS.WritableStream): Progress {
  return {
    onEvent: (event) => void output.write(`${JSON.stringify(event)}\n`),
    end: () => {},
  };
}
