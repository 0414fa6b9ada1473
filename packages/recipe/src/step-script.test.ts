import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { shellQuote } from "./shell-quote.ts";
import { stepScript } from "./step-script.ts";

const folder = mkdtempSync(join(tmpdir(), "melange2-script-"));
afterAll(() => rmSync(folder, { recursive: true }));

const shells: readonly (readonly string[])[] = [["dash"], ["bash"], ["busybox", "sh"]].filter(
  ([shell = ""]) => spawnSync(shell, ["--help"]).error === undefined,
);

function run(shell: readonly string[], fragment: string, options: { workdir?: string; debug?: boolean } = {}) {
  const script = stepScript({ fragment, workdir: folder, directories: [], debug: false, ...options });
  const [command = "", ...args] = shell;
  return spawnSync(command, [...args, "-c", script], { encoding: "utf8" });
}

describe.each(shells.map((shell) => ({ shell, name: shell.join(" ") })))(
  "the script of a step in $name",
  ({ shell, name }) => {
    test.each([
      ["a guarded command that is false at the end is no failure", "[ -e /nope ] && echo yes", 0],
      ["the code of exit is the step's", "exit 3", 3],
      ["the first failing command ends the step", "sh -c 'exit 7'\nexit 0", 7],
      ["a trailing backslash does not swallow the end", "echo hello \\", 0],
      ["a here-document may end the fragment", "cat <<E\ntext\nE", 0],
      ["a comment may end the fragment", "true # done", 0],
      ["unset variables are empty", 'echo "$NOT_SET"', 0],
    ])("%s", (_, fragment, status) => {
      expect(run(shell, fragment).status).toBe(status);
    });

    test("a failing command within a pipe fails the step", ({ skip }) => {
      const [command = "", ...args] = shell;
      skip(spawnSync(command, [...args, "-c", "set -o pipefail"]).status !== 0, `this ${name} has no pipefail`);
      expect(run(shell, "false | cat\necho not reached").stdout).not.toContain("not reached");
    });

    test("the workdir is made and entered, whatever its name", () => {
      const workdir = join(folder, name, "it's a $HOME `dir`");
      expect(run(shell, "pwd", { workdir }).stdout).toBe(`${workdir}\n`);
    });

    test("with debug each command of the fragment is shown, and none of the wrapper", () => {
      const { stderr } = run(shell, "echo shown", { debug: true });
      expect(stderr).toContain("+ echo shown");
      expect(stderr).not.toContain("mkdir");
    });
  },
);

test.each(["plain", "", "two words", "it's", "a\nb", "$x", "-n", "*", "~"])(
  "shellQuote(%j) is read back unchanged",
  (word) => {
    expect(spawnSync("/bin/sh", ["-c", `printf %s ${shellQuote(word)}`], { encoding: "utf8" }).stdout).toBe(word);
  },
);
