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
