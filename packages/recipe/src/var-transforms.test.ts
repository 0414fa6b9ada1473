import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { oracles } from "../test/corpus-folder.ts";
import { loadReplaceAll } from "./go-regexp.ts";

interface Row {
  readonly match: string;
  readonly replace: string;
  readonly input: string;
  readonly result?: string;
  readonly error?: string;
}

test("every recorded transform gives what Go gives", async ({ skip }) => {
  skip(!oracles, "there is no ../shared/corpus");
  const rows: readonly Row[] = JSON.parse(readFileSync(join(oracles ?? "", "var-transforms.json"), "utf8"));
  expect(rows.length).toBeGreaterThan(100);
  const replaceAll = await loadReplaceAll();
  for (const { match, replace, input, result } of rows) {
    const run = () => replaceAll(input, match, replace);
    const what = JSON.stringify({ match, replace, input });
    if (result === undefined) expect(run, what).toThrow();
    else expect(run(), what).toBe(result);
  }
});

test.each([
  ["(?P<x>a)|(?P<x>b)", "[$x]", "ab", "[a][b]"],
  ["(?P<x>a)(?P<x>[(?P<x>b])", "$x", "ab", "a"],
  ["\\Q(?P<x>\\E(?P<x>a)", "$x", "(?P<x>a", "a"],
])("a group name that is used twice: %s", async (match, replace, input, result) => {
  expect((await loadReplaceAll())(input, match, replace)).toBe(result);
});
