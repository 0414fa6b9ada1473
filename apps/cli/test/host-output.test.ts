import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { daemons, onBuildkit } from "./daemons.ts";
import { arch, type Place, place } from "./melange2.ts";
import { ownRecipe } from "./own-recipe.ts";
import { identities, userOf } from "./users.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

let base: string;
beforeAll(async () => {
  base = (await busyboxRoot()).tar;
});

const second = (script = "true") =>
  `subpackages:\n  - name: second\n    pipeline:\n      - runs: ${JSON.stringify(script)}\n`;

/** Builds a recipe with this script. The output folder is `out`, and the source folder is an empty one. */
async function build(here: Place, script: string, more = "") {
  await mkdir(join(here.directory, "src"), { recursive: true });
  await writeFile(join(here.directory, "r.yaml"), ownRecipe("first", [script], more));
  const ended = await here.run([
    "build",
    "r.yaml",
    "--base",
    base,
    "--out-dir=out",
    "--source-dir=src",
    "--no-network",
  ]);
  return { ...ended, out: join(here.directory, "out", arch) };
}

describe("folders without their owner's rights reach the output folder, and are replaced", () => {
  const rights = {
    "a package that may not be written": "chmod 555 first",
    "a package that may not be entered": "chmod 0 first",
    "folders deep inside": "chmod 0 first/d/e first/d",
    "all of it": "chmod 0 first ../melange-out",
  };
  const cases = identities.flatMap((who) => Object.entries(rights).map(([what, chmod]) => ({ who, what, chmod })));
  it.concurrent.for(cases)("$what, as $who", async ({ who, chmod }, test) => {
    await using here = await place(userOf(test, who));
    const listing = `cd out/${arch} && stat -c '%n %a' first second; ls -a; chmod -R u+rwx .; cat first/d/f`;
    for (const content of ["one", "two"]) {
      const script = `mkdir -p melange-out/first/d/e; cd melange-out; echo ${content} >first/d/f; ${chmod}`;
      const { code, stderr } = await build(here, script, second());
      expect(code, stderr).toBe(0);
    }
    const { stdout } = await here.shell(listing);
    const mode = /chmod (\d+) first( |$)/.exec(chmod)?.[1] ?? "755";
    expect(stdout.toString()).toBe(`first ${mode}\nsecond 755\n.\n..\nfirst\nsecond\ntwo\n`);
  });
});

it.concurrent.for(identities)("debug cp gives folders without their owner's rights, as %s", async (who, test) => {
  await using here = await place(userOf(test, who));
  const script = "mkdir -p d/e; echo x >d/e/f; chmod 0 d/e; chmod 555 d; exit 7";
  expect((await build(here, script)).code).toBe(1);
  const copied = await here.run(["debug", "cp", "d", "copy"]);
  expect(copied.code, copied.stderr).toBe(0);
  const { stdout } = await here.shell("stat -c %a copy; chmod -R u+rwx copy; cat copy/e/f; ls -a");
  expect(stdout.toString().split("\n")).toEqual(["555", "x", ".", "..", "copy", "r.yaml", "src", "state", ""]);
});

describe("debug cp of a folder with a FIFO and a device", () => {
  const script = `mkdir -p d/e; echo x >d/e/f; cd d
    for n in 1 2 3 4 5 6 7; do mkfifo e/pipe$n; done; ln e/pipe1 same; mknod null c 1 3; mkfifo ../pipe; exit 7`;

  it.concurrent("leaves them out, and names some of them", async () => {
    await using here = await place();
    expect((await build(here, script)).code).toBe(1);
    const { code, stderr } = await here.run(["debug", "cp", "d", "copy"]);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/left out of the copy: 8 FIFOs: d\/\S+, .* and 3 more; 1 character device: d\/null\n/);
    expect(await readdir(join(here.directory, "copy"), { recursive: true })).toEqual(["e", "e/f"]);

    const alone = await here.run(["debug", "cp", "pipe", "copy2"]);
    expect(alone.code, alone.stderr).toBe(2);
    expect(alone.stderr).toContain("pipe is a FIFO");
  });
});

describe("a socket", () => {
  const syslog = "syslogd -n & until [ -S /dev/log ]; do sleep 0.1; done";
  it.concurrent("in a package is left out, and named", async () => {
    await using here = await place();
    const script = `mkdir -p melange-out/first; ${syslog}; cp -a /dev/log melange-out/first/socket; echo x >melange-out/first/f`;
    const { code, stderr, out } = await build(here, script);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/warning: left out, because .* socket .*: melange-out\/first\/socket\n/);
    expect(await readdir(join(out, "first"))).toEqual(["f"]);
  });

  it.concurrent.for(daemons)("in a package is left out or an empty file on $name", async (daemon, test) => {
    await using here = await place();
    Object.assign(here.env, onBuildkit(test, daemon));
    const script = `mkdir -p melange-out/first; ${syslog}; cp -a /dev/log melange-out/first/socket; echo x >melange-out/first/f`;
    const { code, stderr, out } = await build(here, script);
    expect(code, stderr).toBe(0);
    const { stdout } = await here.shell(`cd ${out}/first && stat -c '%n %F' *`);
    expect(stdout.toString()).toMatch(/^f regular file\n(?:socket regular empty file\n)?$/);
  });

  it.concurrent("is named by debug cp", async () => {
    await using here = await place();
    expect((await build(here, `mkdir d; ${syslog}; cp -a /dev/log d/socket; exit 7`)).code).toBe(1);
    const { code, stderr } = await here.run(["debug", "cp", "d", "copy"]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(": d/socket\n");
  });
});

describe("a build whose output cannot be taken leaves the output folder as it was", () => {
  const wrong = {
    "a link in a package's place": "rm -rf melange-out/second; ln -s /etc melange-out/second",
    "a file in a package's place": "rm -rf melange-out/second; echo x >melange-out/second",
    "a device in a package":
      "mkdir -p melange-out/second; mknod melange-out/second/null c 1 3 || mkfifo melange-out/second/p",
    "a link in the place of all": "rm -rf melange-out; ln -s /etc melange-out",
  };
  it.concurrent.for(Object.entries(wrong))("%s", async ([, spoil]) => {
    await using here = await place();
    const write = (content: string) =>
      `mkdir -p melange-out/first melange-out/second; echo ${content} >melange-out/first/f`;
    const good = await build(here, write("good"), second());
    expect(good.code, good.stderr).toBe(0);
    const bad = await build(here, write("bad"), second(spoil));
    expect(bad.code, bad.stderr).toBe(2);
    expect((await readdir(good.out)).sort()).toEqual(["first", "second"]);
    expect(await readFile(join(good.out, "first/f"), "utf8")).toBe("good\n");
  });
});
