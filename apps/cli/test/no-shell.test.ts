import { execFileSync } from "node:child_process";
import { chmod, cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { program } from "@melange2-tooling/services";
import { describe, expect, it, type TestContext, vi } from "vitest";
import { program as melange2, type Place, place } from "./melange2.ts";
import { ownRecipe } from "./own-recipe.ts";
import { terminal } from "./terminal.ts";
import { identities, userOf } from "./users.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const losses = {
  "the step removed all programs": "echo left >note; rm -rf /bin /sbin /usr; exit 7",
  "/bin/sh is no program of this machine":
    "echo left >note; rm /bin/sh; echo nonsense >/bin/sh; /bin/busybox chmod 755 /bin/sh; exit 7",
  "/bin/sh leads nowhere": "echo left >note; rm /bin/sh; /bin/busybox ln -s /nowhere /bin/sh; exit 7",
};

async function failed(here: Place, step: string): Promise<void> {
  await writeFile(join(here.directory, "red.yaml"), ownRecipe("red", [step]));
  const ended = await here.run(["build", "red.yaml", "--base", (await busyboxRoot()).tar]);
  expect(ended.code, ended.stderr).toBe(1);
}

/** A PATH that begins with a folder that holds nothing but a static busybox. */
async function pathWithBusybox(here: Place): Promise<string> {
  const folder = join(here.directory, "tools");
  await mkdir(folder);
  await cp(join((await busyboxRoot()).directory, "bin/busybox"), join(folder, "busybox"));
  await chmod(folder, 0o755);
  return `${folder}:${process.env.PATH}`;
}

describe("debug shell in a state without a shell", () => {
  const cases = identities.flatMap((who) => Object.entries(losses).map(([what, step]) => ({ who, what, step })));
  it.concurrent.for(cases)("brings the machine's static busybox where $what, as $who", async ({ who, step }, test) => {
    await using here = await place(userOf(test, who));
    await failed(here, step);
    const env = { PATH: await pathWithBusybox(here) };
    const shell = await here.run(["debug", "shell"], { env, input: "pwd; read -r line <note; echo $line; exit 9\n" });
    expect(shell.stderr).toContain("no /bin/sh that runs; this is the busybox of the machine");
    expect(shell).toMatchObject({ code: 9, stdout: Buffer.from("/home/build\nleft\n") });
    const copied = await here.run(["debug", "cp", "/dev", "copy"]);
    expect(copied.code, copied.stderr).toBe(0);
    expect(execFileSync("ls", ["-A", join(here.directory, "copy")], { encoding: "utf8" })).not.toContain("busybox");
  });

  it.concurrent("does so in a terminal", async (test) => {
    program(test, "script");
    await using here = await place();
    await failed(here, losses["the step removed all programs"]);
    const env = { PATH: await pathWithBusybox(here), PS1: "host> ", ENV: "" };
    const host = terminal(here, "exec sh -i", env);
    await host.shows("host> ");
    await host.type(`${process.execPath} ${melange2} debug shell; echo "ended with $?"\n`, "# ");
    await host.type('read -r line <note; echo "it\'s $line"\n', "\nit's left\n");
    await host.type("exit 5\n", "ended with 5\n");
    expect(await host.end("exit 3\n")).toBe(3);
  });

  it.concurrent("says what is missing where the machine has no static busybox", async (test) => {
    withoutBusybox(test);
    await using here = await place();
    await failed(here, losses["the step removed all programs"]);
    const shell = await here.run(["debug", "shell"], { input: "echo said\n" });
    expect(shell.code, shell.stderr).toBe(127);
    expect(shell.stdout.toString()).toBe("");
    expect(shell.stderr).toContain(
      "no static busybox to bring along; files can be read with melange2 debug cat and cp",
    );
    expect(await here.run(["debug", "cat", "note"])).toMatchObject({ code: 0, stdout: Buffer.from("left\n") });
  });
});

function withoutBusybox(test: TestContext): void {
  const found = execFileSync("sh", ["-c", "PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin command -v busybox || :"]);
  test.skip(found.length > 0, "this machine has a busybox");
}
