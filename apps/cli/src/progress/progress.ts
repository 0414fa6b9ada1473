import type { OnEvent } from "@melange2/core";
import { textOutput } from "./text-output.ts";

/** Shows a build while it runs. Writes to standard error only: standard output belongs to results. */
export interface Progress {
  readonly onEvent: OnEvent;
  /** Leaves the screen as it should stay; afterwards nothing is drawn. */
  end(): void;
}

export const progressModes = ["auto", "tty", "plain", "rawjson"] as const;
export type ProgressMode = (typeof progressModes)[number];

/** What a command line says of progress, also one that is refused otherwise. */
export function askedProgress(argv: readonly string[], env: NodeJS.ProcessEnv): string | undefined {
  const end = argv.indexOf("--");
  const words = end < 0 ? argv : argv.slice(0, end);
  const at = words.findIndex((word) => /^--progress(=|$)/.test(word));
  return at < 0 ? env.MELANGE2_PROGRESS : (words[at]?.split("=")[1] ?? words[at + 1]);
}

export async function openProgress(
  mode: ProgressMode,
  output: NodeJS.WriteStream & { readonly fd: number },
): Promise<Progress> {
  const chosen = mode === "auto" ? (output.isTTY && !process.env.CI ? "tty" : "plain") : mode;
  switch (chosen) {
    case "rawjson":
      return (await import("./rawjson.ts")).rawjsonProgress(textOutput(output));
    case "plain":
      return (await import("./plain.ts")).plainProgress(textOutput(output));
    case "tty":
      return (await import("./tty.ts")).ttyProgress(output);
  }
}
