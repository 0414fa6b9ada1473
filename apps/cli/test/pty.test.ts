import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { program } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { daemons, onBuildkit } from "./daemons.ts";
import { program as melange2, place } from "./melange2.ts";
import { terminal } from "./terminal.ts";
import { identities, userOf } from "./users.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

/** Ours. */
const recipe = `
package:
  name: red
  version: 1.0
  epoch: 0
  description: Breaks in a directory and with an environment of its own
pipeline:
  - runs: mkdir -p deep/er
  - name: where it breaks
    working-directory: deep/er
    environment:
      GREETING: it's here
    runs: |
      echo half > partial
      exit 7
`;

describe("from a red build to a shell where it broke", () => {
  const everyone = identities.map((who) => ({ who: `as ${who}`, identity: who, daemon: undefined }));
  const everywhere = daemons.map((daemon) => ({ who: `on ${daemon.name}`, identity: "root", daemon }));

  it.concurrent.for([...everyone, ...everywhere])("is one pasted command, $who", async ({ identity, daemon }, test) => {
    program(test, "script");
    await using here = await place(userOf(test, identity));
    if (daemon !== undefined) Object.assign(here.env, onBuildkit(test, daemon));
    await writeFile(join(here.directory, "red.yaml"), recipe);
    const base = (await busyboxRoot()).tar;
    const host = terminal(here, "exec sh -i", { PS1: "host> ", ENV: "" });
    await host.shows("host> ");
    const build = [
      process.execPath,
      melange2,
      "build",
      "red.yaml",
      "--no-network",
      "--base",
      base,
      "--export-on-failure",
    ].join(" ");
    const red = await host.type(`${build}; echo "ended with $?"\n`, "ended with 1\n");
    const printed = /^ {2}[^\n]*:\n {4}(.*debug.*)$/m.exec(red)?.[1] ?? "";
    expect(red).toContain(`  open a shell where it broke:\n    ${printed}\n`);
    expect(printed).toMatch(/ debug shell [-0-9a-f]+$/);

    const greeting = await host.type(`${printed}; echo "ended with $?"\n`, "# ");
    expect(greeting).toContain("where it breaks");
    expect(await host.type('pwd; echo "$GREETING, $HOME"; id -u; ls\n', "partial\n")).toContain(
      "\n/home/build/deep/er\nit's here, /home/build\n0\npartial\n",
    );
    expect(await host.type("stty size; tty && rm partial && exit 5\n", "ended with 5\n")).toContain("\n/dev/");

    const rerun = printed.replace("debug shell", "debug rerun");
    expect(red).toContain(`    ${rerun}\n`);
    await host.type(`${rerun}; echo "ended with $?"\n`, "ended with 7\n");
    // Running again is shown live, with the cursor hidden; the shell must have it back.
    const again = await host.type(`${printed} --capture two-phase\n`, "# ");
    expect(again.lastIndexOf("\x1b[?25h")).toBeGreaterThan(again.lastIndexOf("\x1b[?25l"));
    expect(await host.type("ls && exit 4\n", "host> ")).not.toContain("partial");
    expect(await host.end("exit 3\n")).toBe(3);
  });
});
