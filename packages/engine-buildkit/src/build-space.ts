import type { BuildkitClient } from "@melange2/buildkit-client";
import type { EngineOptions } from "@melange2/core";
import type { BuildingJob } from "./building-job.ts";
import type { Daemon } from "./daemon.ts";
import type { Permits } from "./permits.ts";

/** What every part of one session works with. */
export interface BuildSpace {
  readonly client: BuildkitClient;
  readonly daemon: Daemon;
  readonly job: BuildingJob;
  readonly permits: Permits;
  readonly options: EngineOptions;
  /** Markers of units whose results are of no use to later builds. */
  readonly ownRecords: Set<string>;
  /** Absolute, private to the user; where what is too large for memory is spooled. Made when it is needed. */
  readonly spoolDirectory: string;
}
