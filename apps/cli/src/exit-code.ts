import type { ErrorCode } from "@melange2/core";
import type { Interrupt } from "./interrupt.ts";

/**
 * 0 built, 1 a step failed, 2 usage or recipe error, 3 engine error, 4 an export asked for by itself failed, 130 interrupted by Ctrl-C; a command
 * that was interrupted by another signal ends with what {@link Interrupt.exitCode} says.
 */
export const exitCodes = { built: 0, stepFailed: 1, usage: 2, engine: 3, exportFailed: 4, interrupted: 130 } as const;

export function exitCodeOf(code: ErrorCode, interrupt: Pick<Interrupt, "exitCode"> | undefined): number {
  switch (code) {
    case "usage":
    case "recipe":
    case "environment":
    case "plugin":
    case "not-found":
      return exitCodes.usage;
    case "engine":
    case "capture":
    case "state-gone":
      return exitCodes.engine;
    case "export":
    case "secret-found":
      return exitCodes.exportFailed;
    case "interrupted":
      return interrupt?.exitCode ?? exitCodes.interrupted;
  }
}
