import { execFileSync } from "node:child_process";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { program, root } from "@melange2-tooling/services";
import { describe, expect, it, type TestContext, vi } from "vitest";
import { program as melange2, type Place, place } from "./melange2.ts";
import { ownRecipe } from "./own-recipe.ts";
import { type Terminal, terminal } from "./terminal.ts";
import { identities, userOf } from "./users.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

/** A failed build of this step, and a terminal with a shell in front of it. */
async function afterFailure(here: Place, step: string, base?: string): Promise<Terminal> {
  await writeFile(join(here.directory, "red.yaml"), ownRecipe("red", [step]));
  const failed = await here.run(["build", "red.yaml", "--base", base ?? (await busyboxRoot()).tar]);
  expect(failed.code, failed.stderr).toBe(1);
  const host = terminal(here, "exec sh -i", { PS1: "host> ", ENV: "" });
  await host.shows("host> ");
  return host;
}

const debug = (words: string) => `${process.execPath} ${melange2} debug ${words}; echo "ended with $?"\n`;

/** The steps stop for keys only in `debug rerun`, where they have a terminal. */
const waiting = (trap: string) => `[ -t 0 ] || exit 7; ${trap}; echo ready; while :; do sleep 0.1; done`;

describe("keys in debug rerun are the step's", () => {
  const cases = [
    { what: "Ctrl-C and a trap", key: "\x03", trap: "trap 'exit 9' INT", code: 9 },
    { what: "Ctrl-C and no trap", key: "\x03", trap: ":", code: 130 },
    { what: "Ctrl-\\ and a trap", key: "\x1c", trap: "trap 'exit 9' QUIT", code: 9 },
    { what: "Ctrl-Z while a program runs", key: "\x1a\x03", trap: "trap 'exit 9' INT", code: 9 },
  ];
  const everyone = identities.flatMap((who) => cases.map((one) => ({ ...one, who })));
  it.concurrent.for(everyone)("$what, as $who", async ({ key, trap, code, who }, test) => {
    program(test, "script");
    await using here = await place(userOf(test, who));
    const host = await afterFailure(here, waiting(trap));
    await host.type(debug("rerun"), "ready\n");
    const seen = await host.type(key, `ended with ${code}\n`);
    expect(seen).not.toContain("unshare");
    expect(await host.end("exit 3\n")).toBe(3);
  });
});

it.concurrent("a terminal that changes its size does so in debug shell", async (test) => {
  program(test, "script");
  await using here = await place();
  const host = await afterFailure(here, "exit 7");
  const [tty = ""] = /\/dev\/pts\/\d+/.exec(await host.type("tty; echo done\n", "\ndone\n")) ?? [];
  const resize = (rows: number, columns: number) =>
    execFileSync("stty", ["-F", tty, "rows", String(rows), "cols", String(columns)]);
  resize(31, 91);
  await host.type(debug("shell"), "# ");
  await host.type("stty size\n", "\n31 91\n");
  // The shell's trap runs when the size has changed inside.
  await host.type("trap 'stty size' WINCH; echo trapped >/dev/null\n", "# ");
  resize(40, 121);
  await host.type("until [ \"$(stty size)\" = '40 121' ]; do sleep 0.1; done; echo is $(stty size)\n", "\nis 40 121\n");
  await host.type("exit 5\n", "ended with 5\n");
  expect(await host.end("exit 3\n")).toBe(3);
});

it.concurrent("job control, Ctrl-C and Ctrl-Z work in debug shell", async (test) => {
  program(test, "script");
  await using here = await place();
  const host = await afterFailure(here, "exit 7");
  await host.type(debug("shell"), "# ");
  const sleeping = (word: string) => `sh -c 'echo ${word}; exec sleep 1000'\n`;
  await host.type(sleeping("first"), "\nfirst\n");
  await host.type("\x03", "# ");
  await host.type(sleeping("second"), "\nsecond\n");
  await host.type("\x1a", "# ");
  await host.type("jobs\n", "Stopped");
  await host.type("exit 6\n", "stopped jobs");
  await host.type("exit 6\n", "ended with 6\n");
  expect(await host.end("exit 3\n")).toBe(3);
});

/** A root filesystem whose /bin/sh is the machine's dash; gives its tar. */
async function dashRoot(test: TestContext, here: Place): Promise<string> {
  const dash = program(test, "dash");
  const folder = join(here.directory, "dash-root");
  await mkdir(folder);
  execFileSync("tar", ["-xf", (await busyboxRoot()).tar, "-C", folder]);
  const libraries = execFileSync("ldd", [dash], { encoding: "utf8" }).match(/\/\S+/g) ?? [];
  for (const library of libraries) await cp(library, join(folder, library), { recursive: true, dereference: true });
  execFileSync("cp", ["--remove-destination", "-L", dash, join(folder, "bin/sh")]);
  execFileSync("tar", ["-cf", `${folder}.tar`, "-C", folder, "."]);
  return `${folder}.tar`;
}

it.concurrent("exit leaves debug shell on a base whose shell is dash", async (test) => {
  program(test, "script");
  await using here = await place();
  const host = await afterFailure(here, "exit 7", await dashRoot(test, here));
  await host.type(debug("shell"), "# ");
  expect(await host.type("exit\n", "ended with")).not.toContain("tty");
  await host.type("\n", "host> ");
  await host.type(debug("shell"), "# ");
  const seen = await host.type("echo one; exit 5\n", "ended with 5\n");
  expect(seen).not.toContain("process group");
  expect(await host.end("exit 3\n")).toBe(3);
});

describe("with redirected streams debug shell takes the terminal from nobody", () => {
  it.concurrent("output goes where it is sent, and the exit code comes back", async (test) => {
    program(test, "script");
    await using here = await place();
    const host = await afterFailure(here, "exit 7");
    const line = debug("shell >said").replace("; echo", "; cat said; echo");
    await host.type(line, "said");
    const seen = await host.type("tty; echo hi; exit 6\n", "\nhi\n");
    expect(seen).toContain("not a tty");
    expect(await host.end("exit 3\n")).toBe(3);
  });

  it.concurrent("Ctrl-C ends it with 130, and nothing of ours talks about it", async (test) => {
    program(test, "script");
    await using here = await place();
    const host = await afterFailure(here, "exit 7");
    await host.type(debug("shell -- sh -c 'echo ready >&2; sleep 1000' >said"), "ready\n");
    const seen = await host.type("\x03", "ended with 130\n");
    expect(seen).not.toContain("unshare");
    expect(await host.end("exit 3\n")).toBe(3);
  });
});

it.concurrent("where there is no script(1), debug shell says what to install", async (test) => {
  const script = program(test, "script");
  root(test);
  await using here = await place();
  const host = await afterFailure(here, "exit 7");
  // Only there: a file that nobody may run is put over it, in a mount namespace.
  const hidden = `unshare -m sh -c 'mount --bind red.yaml "$(readlink -f ${script})"; "$0" "$@"' ${process.execPath} ${melange2}`;
  const seen = await host.type(`${hidden} debug shell; echo "ended with $?"\n`, "ended with 3\n");
  expect(seen).toMatch(/error: the program script was not found\n {2}hint: Install .*script/);
  await host.type(`echo 'echo piped' | ${hidden} debug shell; echo "ended with $?"\n`, "piped\nended with 0\n");
  expect(await host.end("exit 3\n")).toBe(3);
});
