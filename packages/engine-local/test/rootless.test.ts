import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fullRun } from "@melange2-tooling/services";
import { beforeEach, describe, expect, it } from "vitest";
import { scratch } from "./local-build.ts";

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const works = (program: string, ...words: string[]) => spawnSync(program, words).status === 0;
const missing =
  process.getuid?.() !== 0
    ? "only root can be somebody else"
    : ["useradd", "setpriv"].find((tool) => !works(tool, "--help"))?.concat(" is not installed");

beforeEach(({ skip }) => skip(missing !== undefined, missing));

/** Ordinary users, made where they are missing; `single` has no range of subordinate ids. */
const users = [
  { name: "melange2-range", mapping: "range" },
  { name: "melange2-single", mapping: "single" },
] as const;

function makeUser(name: string, mapping: "range" | "single"): void {
  if (!works("id", name)) execFileSync("useradd", ["--create-home", name]);
  if (mapping === "single")
    for (const file of ["/etc/subuid", "/etc/subgid"]) spawnSync("sed", ["-i", `/^${name}:/d`, file]);
}

/** The words before a command that run it as another user. */
const as = (name: string) => ["setpriv", "--reuid", name, "--regid", name, "--init-groups"] as const;

describe("as an ordinary user", () => {
  it.for(users)(
    "with uids mapped by $mapping, all other tests pass",
    { timeout: 600_000 },
    async ({ name, mapping }, test) => {
      // The command's own tests run as both kinds of user in each run.
      if (mapping === "single") fullRun(test);
      makeUser(name, mapping);
      const [setpriv, ...identity] = as(name);
      const folder = scratch();
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8" }));
      chownSync(folder, id("-u"), id("-g"));
      const vitest = ["node_modules/vitest/vitest.mjs", "run", "--configLoader", "runner", "--cache", "false"];
      const child = spawn(
        setpriv,
        [...identity, process.execPath, ...vitest, "packages/engine-local/test", "--exclude", "**/rootless.test.ts"],
        {
          cwd: repository,
          stdio: ["ignore", "pipe", "pipe"],
          env: {
            ...process.env,
            HOME: folder,
            XDG_DATA_HOME: folder,
            TMPDIR: folder,
            MELANGE2_TEST_SCRATCH: folder,
            MELANGE2_TEST_MAPPING: mapping,
          },
        },
      );
      let printed = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => {
          printed += text;
        });
      const [code] = await once(child, "close");
      expect(code, printed).toBe(0);
      expect(Number(/^(\d+) passed, 0 failed/m.exec(printed)?.[1]), printed).toBeGreaterThan(45);
    },
  );
});
