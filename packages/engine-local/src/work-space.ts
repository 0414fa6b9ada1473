import type { EngineOptions } from "@melange2/core";
import type { DeviceNodes } from "./device-nodes.ts";
import type { Host } from "./host.ts";
import type { LayerStore } from "./layer-store.ts";
import type { FifoPool } from "./output-fifos.ts";
import type { SessionDirectory } from "./session-directory.ts";
import type { StateDirectory } from "./state-directory.ts";

/** What every part of one session works with. */
export interface WorkSpace {
  readonly host: Host;
  readonly state: StateDirectory;
  readonly store: LayerStore;
  readonly directory: SessionDirectory;
  readonly fifos: FifoPool;
  readonly devices: DeviceNodes;
  readonly options: EngineOptions;
}
