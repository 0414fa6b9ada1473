import type { SuiteTest } from "./suite-test.ts";

export interface SuiteOutcome {
  readonly passed: readonly string[];
  readonly skipped: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: unknown }[];
}

/** Runs a suite's tests one after another without a test runner, for tools that report in their own way. Never rejects because a test fails. */
export async function runSuite(declare: (test: SuiteTest) => void): Promise<SuiteOutcome> {
  const tests: Parameters<SuiteTest>[] = [];
  declare((...declared) => tests.push(declared));
  const passed: string[] = [];
  const skipped = new Set<string>();
  const failed: { name: string; error: unknown }[] = [];
  for (const [name, body] of tests) {
    try {
      await body({ skip: () => skipped.add(name) });
      if (!skipped.has(name)) passed.push(name);
    } catch (error) {
      failed.push({ name, error });
    }
  }
  return { passed, skipped: [...skipped], failed };
}
