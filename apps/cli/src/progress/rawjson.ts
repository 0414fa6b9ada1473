import type { Progress } from "./progress.ts";
import type { TextOutput } from "./text-output.ts";

/** One event a line, for programs. */
export function rawjsonProgress(output: TextOutput): Progress {
  return {
    onEvent: (event) => output.write(`${JSON.stringify(event)}\n`),
    end: () => output.end(),
  };
}
