import type { CaptureRecord, Exit, Location, Receipt, StepRecord } from "@melange2/core";
import type { ExportAgain } from "../export/ready-export.ts";

/** How a build ended. */
export interface BuildReport {
  readonly status: "built" | "failed" | "interrupted";
  readonly build: string;
  readonly package: string;
  readonly version: string;
  readonly arch: string;
  readonly steps: readonly Pick<
    StepRecord,
    "id" | "path" | "label" | "package" | "state" | "started" | "ended" | "exit"
  >[];
  /** Where the packages' files are, when the build succeeded. */
  readonly output?: readonly { readonly package: string; readonly directory: string }[];
  readonly failure?: FailureReport;
}

export interface FailureReport {
  readonly step: string;
  readonly label: string;
  readonly package: string;
  readonly path: string;
  readonly location: Location;
  readonly exit: Exit;
  readonly message: string;
  readonly lastLines: readonly string[];
  /** Whether the failed state is kept on this machine, for `melange2 debug`. */
  readonly kept: boolean;
  readonly export?: ExportReport;
}

export type ExportReport =
  | { readonly ok: true; readonly exporter: string; readonly receipt: Receipt; readonly capture: CaptureRecord }
  | {
      readonly ok: false;
      readonly exporter: string;
      readonly message: string;
      readonly hint: string;
      /** What asks for the same again; missing where the state could not be kept. */
      readonly again?: ExportAgain;
    };
