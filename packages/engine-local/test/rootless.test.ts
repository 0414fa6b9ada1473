import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { scratch } from "./local-build.ts";

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const isRoot = process.getuid?.() === 0;
const works = (program: string, ...words: string[]) => spawnSync(program, words).status === 0;
const canMakeUsers = isRoot && works("useradd", "--help") && works("setpriv", "--version");

/** Ordinary users, as root makes them; `single` has no range of subordinate ids. */
const users = [
  { name: "melange2-range", mapping: "range", needs: ["newuidmap"] },
  { name: "melange2-single", mapping: "single", needs: [] },
] as const;

function makeUser(name: string, mapping: "range" | "single"): void {
  if (!works("id", name)) execFileSync("useradd", ["--create-home", name]);
  if (mapping === "single")
    for (const file of ["/etc/subuid", "/etc/subgid"]) spawnSync("sed", ["-i", `/^${name}:/d`, file]);
}

describe.skipIf(!canMakeUsers)("as an ordinary user", () => {
  it.each(users)(
    "with uids mapped by $mapping, everything above holds",
    { timeout: 600_000 },
    ({ name, mapping, needs }) => {
      if (needs.some((tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0)) return;
      makeUser(name, mapping);
      const folder = scratch();
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8" }));
      chownSync(folder, id("-u"), id("-g"));
      const report = join(folder, "report.json");
      const ran = spawnSync(
        "setpriv",
        [
          ...["--reuid", name, "--regid", name, "--init-groups", process.execPath],
          ...[
            "node_modules/vitest/vitest.mjs",
            "run",
            "--configLoader",
            "runner",
            "--reporter",
            "json",
            "packages/engine-local/test",
          ],
          ...["--exclude", "**/rootless.test.ts", "--cache", "false"],
        ],
        {
          cwd: repository,
          encoding: "utf8",
          env: {
            PATH: process.env.PATH,
            HOME: folder,
            TMPDIR: folder,
            MELANGE2_TEST_SCRATCH: folder,
            MELANGE2_TEST_MAPPING: mapping,
          },
        },
      );
      expect(existsSync(report), ran.stderr).toBe(true);
      const told = JSON.parse(readFileSync(report, "utf8")) as Report;
      const failures = told.testResults
        .flatMap(({ assertionResults }) => assertionResults)
        .filter(({ status }) => status === "failed")
        .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages.join("\n")}`);
      expect(failures).toEqual([]);
      expect(told.numPassedTests).toBeGreaterThan(40);
    },
  );
});

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}
