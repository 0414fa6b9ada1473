/** What a test of a suite is handed: vitest's and node:test's contexts both are. */
export interface SuiteTestContext {
  skip(reason?: string): void;
}

/** Declares one test: `test` of vitest or of node:test. A test fails by rejecting; the suites assert with node:assert. */
export type SuiteTest = (name: string, body: (context: SuiteTestContext) => Promise<void>) => void;
