import type { Reporter, SerializedError, TestModule, TestSuite } from "vitest/node";
import { mustHaveAll, readMissing } from "./missing.ts";

export interface Summary {
  passed: number;
  failed: number;
  /** The full names of skipped tests by the reason they gave. */
  skipped: Map<string, string[]>;
}

/**
 * Counts the tests of a run. Whatever else fails counts as one failed test: a file that cannot be loaded, a suite's hook,
 * an error outside any test.
 */
export function summarize(modules: readonly TestModule[], unhandled: number): Summary {
  const summary: Summary = { passed: 0, failed: unhandled, skipped: new Map() };
  for (const module of modules) {
    summary.failed += module.errors().length;
    for (const suite of module.children.allSuites()) summary.failed += suiteErrors(suite);
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === "passed") summary.passed++;
      else if (result.state === "failed") summary.failed++;
      else {
        const note = result.state === "skipped" ? result.note : undefined;
        const reason = note ?? (result.state === "pending" ? "never run" : "no reason given");
        summary.skipped.set(reason, [
          ...(summary.skipped.get(reason) ?? []),
          `${module.relativeModuleId} > ${test.fullName}`,
        ]);
      }
    }
  }
  return summary;
}

const suiteErrors = (suite: TestSuite): number => suite.errors().length;

/** The lines after a run: skipped tests under their reasons, and last of all the counts. */
export function summaryLines({ passed, failed, skipped }: Summary): string[] {
  const reasons = [...skipped].flatMap(([reason, tests]) => [
    `skipped: ${reason}`,
    ...tests.slice(0, 3).map((name) => `  ${name}`),
    ...(tests.length > 3 ? [`  and ${tests.length - 3} more`] : []),
  ]);
  const count = [...skipped.values()].reduce((sum, tests) => sum + tests.length, 0);
  return [...reasons, `${passed} passed, ${failed} failed, ${count} skipped`];
}

/** A vitest reporter beside the default one, which ends the output with the line `N passed, N failed, N skipped`. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const summary = summarize(modules, unhandled.length);
    if (mustHaveAll()) {
      // A test that skips itself without asking for the reason must not hide a service that is missing.
      for (const [name, { reason, intended }] of Object.entries(readMissing())) {
        if (intended) continue;
        console.log(`missing: ${name}: ${reason}`);
        summary.failed++;
      }
    }
    console.log(`\n${summaryLines(summary).join("\n")}`);
    if (summary.failed > 0) process.exitCode = 1;
  }
}
