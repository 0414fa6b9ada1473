import type { Exit } from "./engine.ts";
import type { Location } from "./error.ts";
import type { Receipt } from "./exporter.ts";
import type { Source, Subject } from "./plan.ts";
import type { CaptureRecord, StepState } from "./record.ts";

/** A step as progress shows it. */
export interface StepOutline {
  readonly id: string;
  readonly path: string;
  readonly label: string;
  readonly package: string;
  readonly location: Location;
}

/** What a build tells while it works, without the name of the build. Times are RFC 3339, durations in ms. */
export type EventBody =
  | {
      readonly type: "build-started";
      readonly time: string;
      readonly source: Pick<Source, "kind" | "file">;
      readonly subject: Subject;
      readonly engine: string;
      readonly steps: readonly StepOutline[];
    }
  /** `task` is unique in the build; `label` is for people. */
  | { readonly type: "task-started"; readonly task: string; readonly label: string; readonly time: string }
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

/**
 * An event as listeners get it, in order, as plain data (`--progress=rawjson` prints one a line). `build` is the id of the build that tells it,
 * so that several builds can be followed at once. No event holds a secret; `text` is one line without its newline, otherwise as the step wrote it.
 */
export type BuildEvent = EventBody & { readonly build: string };

export type OnEvent = (event: BuildEvent) => void;

/** Tells something of one build. */
export type Tell = (body: EventBody) => void;

/** A listener for one build: it adds the build's id to what it is told. */
export function tellOf(build: string, onEvent: OnEvent): Tell {
  return (body) => onEvent({ ...body, build });
}
