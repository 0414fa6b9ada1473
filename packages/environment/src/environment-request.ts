/** What an environment is to have beside its base. A compiled recipe's request is one. */
export interface EnvironmentRequest {
  /** apk dependency atoms; those that the base lacks are named, not installed. */
  readonly packages: readonly string[];
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
