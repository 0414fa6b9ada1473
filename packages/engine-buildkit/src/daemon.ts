import type { BlobStore } from "@melange2/buildkit-client";
import type { DebugImage, Environment, ImageSpec, Target } from "@melange2/core";
import type { BuildSpace } from "./build-space.ts";
import type { BaseFacts, BuildkitSnapshot } from "./snapshot.ts";

/** What differs between a buildkitd and the BuildKit inside a Docker daemon. */
export interface Daemon {
  readonly claims: readonly Target["kind"][];
  /** Whether it knows the difference between states, and merges states. */
  readonly takesApart: boolean;
  /** Whether it takes a file for unchanged by its size and time; others know what a step wrote to. */
  readonly comparesTimes: boolean;
  /** Content stores for the session's job. */
  readonly stores: Readonly<Record<string, BlobStore>>;
  /** Whether one more unit can run on the state. */
  roomFor(at: BuildkitSnapshot): boolean;
  /** Has an environment ready as a source of graphs; layers move at the latest when something runs on it. */
  addBase(environment: Environment, signal: AbortSignal): Promise<BaseFacts>;
  /** Whether a base that an earlier session added is still to be had. */
  hasBase(base: BaseFacts, signal: AbortSignal): Promise<boolean>;
  image(space: BuildSpace, at: BuildkitSnapshot, spec: ImageSpec): DebugImage;
}
