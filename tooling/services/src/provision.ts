/** What a started provision hands to the tests. */
export interface Started {
  /** Variables for the tests' environment. */
  env: Record<string, string>;
  /** Ends what was started, and nothing else; absent where there is nothing to end. */
  stop?(): Promise<void>;
}

/** Something tests can ask for: a running service, a root filesystem, a user. */
export interface Provision {
  /** The variables it sets, all of them beginning with MELANGE2_TEST_. */
  variables: readonly string[];
  /** Only in full runs (MELANGE2_TEST_FULL=1), for what takes minutes to build. */
  full?: boolean;
  /** Data that may lie beside a checkout: without it, tests are skipped everywhere, in continuous integration too. */
  optional?: boolean;
  /** Starts or makes it, with `folder` as its own; an error that says why where this machine cannot. */
  start(folder: string): Promise<Started>;
}
