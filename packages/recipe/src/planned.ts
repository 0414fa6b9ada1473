/** What a recipe asks of an environment; composing it is another package's work. */
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
