import type { Exit } from "./engine.ts";
import type { Location } from "./error.ts";
import type { Receipt } from "./exporter.ts";
import type { CaptureRecord, StepState } from "./record.ts";

/** A step as progress shows it. */
export interface StepOutline {
  readonly id: string;
  readonly path: string;
  readonly label: string;
  readonly package: string;
  readonly location: Location;
}

/**
 * What a build tells while it works, in order, as plain data (`--progress=rawjson` prints one a line). Times are RFC 3339, durations in ms.
 * No event holds a secret; `text` is one line without its newline, otherwise as the step wrote it.
 */
export type BuildEvent =
  | {
      readonly type: "build-started";
      readonly build: string;
      readonly time: string;
      readonly recipe: string;
      readonly package: string;
      readonly version: string;
      readonly arch: string;
      readonly engine: string;
      readonly steps: readonly StepOutline[];
    }
  | { readonly type: "task-started"; readonly task: string; readonly time: string }
  | { readonly type: "task-progress"; readonly task: string; readonly done: number; readonly total?: number }
  | { readonly type: "task-finished"; readonly task: string; readonly duration: number }
  | { readonly type: "step-started"; readonly step: string; readonly time: string; readonly again: boolean }
  | { readonly type: "step-output"; readonly step: string; readonly stream: "stdout" | "stderr"; readonly text: string }
  | {
      readonly type: "step-finished";
      readonly step: string;
      readonly state: Exclude<StepState, "not-run">;
      readonly exit?: Exit;
      readonly duration: number;
      readonly again: boolean;
    }
  | { readonly type: "captured"; readonly capture: CaptureRecord }
  | { readonly type: "exported"; readonly exporter: string; readonly receipt: Receipt }
  | {
      readonly type: "notice";
      readonly level: "info" | "warning" | "error";
      readonly message: string;
      readonly hint?: string;
    }
  | { readonly type: "build-finished"; readonly status: "built" | "failed" | "interrupted"; readonly duration: number };

export type OnEvent = (event: BuildEvent) => void;
