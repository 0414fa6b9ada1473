import { chmod, cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { fullRun, program, root } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { daemons, onBuildkit } from "./daemons.ts";
import { configOf } from "./judges.ts";
import { arch, program as melange2, place } from "./melange2.ts";
import { identities, userOf } from "./users.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

/** Ours. */
const recipe = (end: string) => `
package:
  name: kept
  version: 1.0
  epoch: 0
  description: Leaves a folder, and a package unless its last step fails
pipeline:
  - runs: mkdir -p folder/below melange-out/kept && echo file > folder/below/file
  - name: the last one
    working-directory: folder
    environment:
      COLOUR: blue
    runs: |
      echo "colour $COLOUR"
      cp below/file ../melange-out/kept/
      echo half > partial
      ${end}
`;

/** A place with the recipe, which fails; what is called there must end with the code that is given. */
async function failed(user?: string, env: NodeJS.ProcessEnv = {}) {
  const here = await place(user);
  Object.assign(here.env, env);
  const at = (...names: string[]) => join(here.directory, ...names);
  await writeFile(at("kept.yaml"), recipe("exit 7"));
  const build = ["build", "kept.yaml", "--no-network", "--base", (await busyboxRoot()).tar];
  const run = async (args: readonly string[], code: number, input = "") => {
    const ended = await here.run(args, { input });
    expect(ended.code, ended.stderr).toBe(code);
    return { stdout: ended.stdout.toString(), stderr: ended.stderr };
  };
  const { stderr } = await run(build, 1);
  const [, id = ""] = /debug shell (\S+)/.exec(stderr) ?? [];
  return { here, at, build, run, id };
}

async function goThroughEveryCommand({ here, at, build, run, id }: Awaited<ReturnType<typeof failed>>) {
  expect((await run(["debug", "ls"], 0)).stdout).toMatch(`${id}  kept-1.0-r0`);
  const shown = (await run(["debug", "show"], 0)).stdout;
  expect(shown).toContain('failed in step "the last one" of kept: exit status 7');
  expect(shown).toContain(`, engine ${here.env.MELANGE2_ENGINE ?? "local"}, `);
  expect(shown).toContain("workdir /home/build/folder, user 0:0");
  expect((await run(["debug", "cat", "partial"], 0)).stdout).toBe("half\n");

  expect((await run(["debug", "cp", "/home/build/folder", "copied"], 0)).stdout).toBe(`${at("copied")}\n`);
  expect(await readFile(at("copied/below/file"), "utf8")).toBe("file\n");
  expect((await stat(at("copied/partial"))).uid).toBe((await stat(here.directory)).uid);

  const inside = await run(["debug", "shell", "--", "sh", "-c", 'pwd; echo "$COLOUR"; rm partial; exit 9'], 9);
  expect(inside.stdout).toBe("/home/build/folder\nblue\n");
  expect((await run(["debug", "rerun"], 7)).stdout).toBe("colour blue\n");
  await run(["debug", "export", id, "--export-path=later.tar"], 0);
  expect((await configOf(at("later.tar"))).config.WorkingDir).toBe("/home/build/folder");

  await run(["debug", "prune", id], 0);
  expect((await run(["debug", "ls"], 0)).stdout).toBe("no failed builds are kept here\n");
  await writeFile(at("kept.yaml"), recipe("exit 0"));
  await run(build, 0);
  expect(await readFile(at("packages", arch, "kept", "file"), "utf8")).toBe("file\n");
}

describe("a failed build", () => {
  it.concurrent.for(identities)("goes through every command, as %s", async (identity, test) => {
    program(test, "skopeo");
    const build = await failed(userOf(test, identity));
    await using _ = build.here;
    await goThroughEveryCommand(build);
  });

  it.for(daemons)("goes through every command, on $name", async (daemon, test) => {
    if (daemon.name !== "buildkitd") fullRun(test);
    root(test);
    program(test, "skopeo");
    const build = await failed(undefined, onBuildkit(test, daemon));
    await using _ = build.here;
    await goThroughEveryCommand(build);
  });

  it.concurrent("is as the shells before left it, and shows what was asked for", async () => {
    const { here, at, run, id } = await failed();
    await using _ = here;
    await run(["debug", "shell"], 0, "rm partial\n");
    expect((await run(["debug", "shell", id.slice(0, -1)], 3, "cat partial; exit 3\n")).stdout).toBe("half\n");
    expect((await run(["debug", "rerun", "--capture=current-state"], 7)).stderr).toContain("partial effects");
    expect((await run(["debug", "show", "--log"], 0)).stdout).toBe("colour blue\n");
    expect((await run(["debug", "cat", "../kept.yaml", "--capture=last-good"], 0)).stdout).toBe(recipe("exit 7"));
    expect((await run(["debug", "cat", "partial", "--capture=last-good"], 2)).stderr).toContain("folder/partial");
    expect((await run(["debug", "cat", "below"], 2)).stderr).toContain("is a directory, not a file");
    expect((await run(["debug", "cp", "partial", "kept.yaml"], 2)).stderr).toContain("exists already");
    expect((await run(["debug", "cp", "partial", "nix/copy"], 2)).stderr).toContain(`${at("nix")}: it is not there`);
    expect((await run(["debug", "cp", "partial", "kept.yaml/copy"], 2)).stderr).toContain("ENOTDIR");
    expect((await run(["debug", "prune"], 2)).stderr).toContain("which build");
    expect((await run(["debug", "ls"], 0)).stdout).toContain(id);
  });

  it.concurrent("is shown as JSON, log and all; what prints the build's own bytes has no JSON", async () => {
    const { here, run } = await failed();
    await using _ = here;
    expect(await here.json(["debug", "show", "--log"])).toMatchObject({ code: 0, value: { log: "colour blue\n" } });
    for (const words of [["cat", "partial"], ["shell"], ["rerun"]]) {
      expect((await run(["debug", ...words, "--json"], 2)).stderr).toContain("--json");
      expect((await run(["debug", ...words, "--help"], 0)).stdout).not.toContain("--json");
    }
  });

  it.concurrent("prints a file as far as it is read, and says where it cannot", async () => {
    const { here, run } = await failed();
    await using _ = here;
    const printed = (where: string) =>
      here.shell(`{ "${process.execPath}" "${melange2}" debug cat /bin/busybox; echo $? >&2; } ${where}`);
    expect((await printed("> whole")).stderr).toBe("0\n");
    const { tar } = await busyboxRoot();
    expect((await here.shell(`tar -xOf ${tar} ./bin/busybox | cmp - whole`)).code).toBe(0);
    expect((await printed("| head -c 1 > one")).stderr).toBe("0\n");
    expect((await printed("> /dev/full")).stderr).toMatch(/^melange2: error: standard output .*ENOSPC.*\n3\n$/);
    Object.assign(here.env, { MELANGE2_STATE_DIR: "kept.yaml" });
    expect((await run(["debug", "ls"], 2)).stderr).toMatch(/^melange2: error: ENOTDIR.*\n {2}hint: .*\n$/);
  });

  it.concurrent("that is forgotten while it is exported has its receipt all the same", async () => {
    const { here, at, id } = await failed();
    await using _ = here;
    const exporting = `"${process.execPath}" "${melange2}" debug export ${id} --export-path=-; echo $? > code`;
    // The pipe holds a part of the archive only: the export goes on when the record is gone.
    const ended = await here.shell(`{ ${exporting}; } | { head -c 1; rm -r state/builds/${id}; cat > /dev/null; }`);
    expect(ended.stderr).toMatch(/^warning: the export is not noted .*ENOENT/m);
    expect(ended.stderr).toContain("exported to standard output");
    expect(await readFile(at("code"), "utf8")).toBe("0\n");
  });

  it.concurrent("is forgotten when its record is broken, and if need be when its engine is gone", async () => {
    const { here, at, run, id } = await failed();
    await using _ = here;
    const builds = at("state", "builds");
    const states = JSON.parse(await readFile(join(builds, id, "states.json"), "utf8"));
    const engines = {
      "20200101-000000-aaaaaa": { engine: "uninstalled" },
      "20200102-000000-aaaaaa": { engine: "buildkit", options: { "buildkit-addr": "unix:///nowhere/buildkitd.sock" } },
    };
    for (const [other, engine] of Object.entries(engines)) {
      await cp(join(builds, id), join(builds, other), { recursive: true });
      await writeFile(join(builds, other, "states.json"), JSON.stringify({ ...states, ...engine }));
    }
    const broken = ["20200103-000000-aaaaaa", "20200103-000000-bbbbbb"];
    for (const other of broken) await mkdir(join(builds, other));

    expect((await run(["debug", "prune", "20200103"], 2)).stderr).toContain("begins the ids of 2 builds");
    expect((await run(["debug", "prune", "20200103-000000-b"], 0)).stdout).toBe(`forgot ${broken[1]}\n`);
    const { code, value, stderr } = await here.json(["debug", "prune", "--all"]);
    expect(code, stderr).toBe(3);
    const others = Object.keys(engines).reverse();
    expect(value).toEqual({ forgotten: [id, broken[0]], notFreed: others });
    expect(stderr).toMatch(/^warning: the states of 20200101-000000-aaaaaa could not be freed: .*"uninstalled"/m);
    expect(stderr).toMatch(
      /^warning: the states of 20200102-000000-aaaaaa could not be freed: .*\/nowhere\/buildkitd/m,
    );
    expect((await run(["debug", "ls"], 0)).stdout).toContain(others[0]);
    const forced = await here.json(["debug", "prune", "--all", "--force"]);
    expect([forced.code, forced.value]).toEqual([0, { forgotten: others, notFreed: others }]);
    expect((await run(["debug", "ls"], 0)).stdout).toBe("no failed builds are kept here\n");
  });

  it.concurrent("of an ordinary user is not exported where they may not write", async (test) => {
    const { here, at, build, run } = await failed(userOf(test, identities.at(-1) ?? ""));
    await using _ = here;
    await mkdir(at("locked"));
    await chmod(at("locked"), 0o555);
    const refused = await run([...build, "--export-on-failure", "--export-path=locked/debug.tar"], 2);
    expect(refused.stderr).toMatch(/locked cannot be written to/);
    expect(refused.stderr).not.toContain("=> step");
    expect((await run(["debug", "cp", "partial", "locked"], 2)).stderr).toMatch(/locked: EACCES/);
  });
});
