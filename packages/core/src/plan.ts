import type { StringMap } from "./bytes.ts";
import type { Location } from "./error.ts";

/** Numeric user and group that a step runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Something of the host that a step sees and no snapshot holds. Named in the failure record and in printed commands. */
export interface Mount {
  readonly kind: "cache";
  /** A directory of the host, absolute; or the name of a cache that the engine keeps from build to build: letters, digits, `.`, `_`, `-`. */
  readonly source: string;
  /** Where the step sees it, absolute. */
  readonly target: string;
}

/** One script run in the environment. Everything in it is final: no substitution is left. */
export interface Step {
  /** Unique in the plan, stable as long as the recipe's structure is: `main-2`, `sub.libev-dev-0`. Letters, digits, `.`, `_`, `+`, `-`. */
  readonly id: string;
  /** Where it stands in the recipe: `pipeline[2].pipeline[1]`, `subpackages[0].pipeline[0]`; children of a `uses` continue its path. */
  readonly path: string;
  /** The line that made it; for a child of a `uses`, the `uses` line of the recipe. */
  readonly location: Location;
  /** What a person calls it: the step's name, else its `uses`, else its script's first line. */
  readonly label: string;
  /** The package or subpackage it works for. */
  readonly package: string;
  /** The fragment as the recipe says it, substituted. */
  readonly fragment: string;
  /**
   * The whole script, given to `/bin/sh -c` as one argument: shell options, the change into the workdir, the fragment, `exit 0`.
   * Exactly these bytes are in the debug image.
   */
  readonly script: string;
  /** The complete environment of the process; nothing of the host is added. Holds no secret, and no name of `secretEnv`. */
  readonly env: StringMap;
  /** Names of secrets that enter the process's environment when it starts. Their values are nowhere in a plan. */
  readonly secretEnv: readonly string[];
  /** Absolute. The script creates it and changes into it. */
  readonly workdir: string;
  readonly user: User;
  /** Linux capabilities beyond, or out of, the engine's default set: `CAP_SYS_PTRACE`. */
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  readonly mounts: readonly Mount[];
  /** Seconds, or undefined for no limit. */
  readonly timeout: number | undefined;
}

/** Steps that share one process tree: a build step alone; all the steps of one test pipeline. Never empty. */
export interface Unit {
  readonly id: string;
  readonly steps: readonly Step[];
  /** Which of the plan's environments it runs in. The units of one environment run one after another, each on the state the one before left. */
  readonly environment: string;
}

/** What the recipe asks of an environment; composing it is another package's work. */
export interface EnvironmentRequest {
  /** apk dependency atoms, in the recipe's order, the needs of used pipelines after them. */
  readonly packages: readonly string[];
  readonly repositories: readonly string[];
  readonly keyring: readonly string[];
  readonly users: readonly {
    readonly name: string;
    readonly uid: number;
    readonly gid: number;
    readonly shell: string;
    readonly home: string;
  }[];
  readonly groups: readonly { readonly name: string; readonly gid: number; readonly members: readonly string[] }[];
  /** A user's name, a number or `uid:gid`; empty for root. */
  readonly runAs: string;
  /** Directories that must exist, absolute, beneath the workspace, owned by the step's user. */
  readonly directories: readonly string[];
}

/** One package or subpackage that the recipe makes. */
export interface PlannedPackage {
  readonly name: string;
  readonly version: string;
  readonly epoch: number;
  readonly description: string;
  /** Absolute in the environment: `/home/build/melange-out/NAME`. */
  readonly directory: string;
}

/** A recipe compiled: a flat list of units with their environments. Plain data. */
export interface Plan {
  readonly recipe: { readonly file: string; readonly text: string };
  readonly package: PlannedPackage;
  /** The main package first, then subpackages in order. */
  readonly packages: readonly PlannedPackage[];
  /** apk name: `x86_64`, `aarch64`. */
  readonly arch: string;
  /** Absolute; `/home/build`. */
  readonly workspace: string;
  readonly environments: Readonly<Record<string, EnvironmentRequest>>;
  readonly units: readonly Unit[];
}
