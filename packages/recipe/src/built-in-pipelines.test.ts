import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { plannedRecipe } from "../test/planned.ts";
import { canRunSteps, noSteps, runBuild, runStep, shells } from "../test/run-steps.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";

let workspace: string;
beforeEach(() => {
  workspace = mkdtempSync(join(tmpdir(), "melange2-pipelines-"));
});
afterEach(() => rmSync(workspace, { recursive: true, force: true }));

async function builtOf(steps: string, subpackages = "") {
  const text = `package: {name: demo, version: "1.0", epoch: 0}\npipeline: ${steps}\n${subpackages}`;
  const result = await plannedRecipe({
    file: "r.yaml",
    text,
    arch: "x86_64",
    pipelines: pipelineDirectories([]),
  });
  if (result.kind !== "compiled") throw new Error(result.reason);
  return result;
}

function write(path: string, content = "x"): void {
  mkdirSync(dirname(join(workspace, path)), { recursive: true });
  writeFileSync(join(workspace, path), content);
}

function read(path: string): string {
  return readFileSync(join(workspace, path), "utf8");
}

function files(path: string): readonly string[] {
  const directory = join(workspace, path);
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
}

const names = readdirSync(new URL("../pipelines", import.meta.url), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => name.slice(0, -".yaml".length))
  .sort();

const needed: Readonly<Record<string, string>> = {
  uri: "https://example.test/a.tgz",
  "expected-sha256": "0".repeat(64),
  repository: "https://example.test/a.git",
};

test("all of melange's pipelines are there", () => {
  expect(names).toHaveLength(51);
});

describe.each(names)("%s", (name) => {
  test("has a script that every shell takes", async () => {
    const definition = readFileSync(new URL(`../pipelines/${name}.yaml`, import.meta.url), "utf8");
    const required = [...definition.matchAll(/^ {2}([\w-]+):\n(?: {4}.*\n)*? {4}required: true/gm)].map(
      ([, key]) => key ?? "",
    );
    const arguments_ = Object.fromEntries(required.map((key) => [key, needed[key] ?? "word"]));
    const subpackages = [{ name: "demo-bin", pipeline: [{ uses: name, with: arguments_ }] }];
    const { plan } = await builtOf("[]", `subpackages: ${JSON.stringify(subpackages)}`);
    expect(plan.units.length).toBeGreaterThan(0);
    for (const { steps } of plan.units) {
      for (const shell of shells) {
        const { status, stderr } = spawnSync("/bin/sh", ["-c", `${shell} -n`], {
          input: steps[0]?.script,
          encoding: "utf8",
        });
        expect(`${shell}: ${status} ${stderr}`).toBe(`${shell}: 0 `);
      }
    }
  });
});

describe.each(shells)("run by %s", (shell) => {
  beforeEach(({ skip }) => skip(!canRunSteps, noSteps));

  test("fetch takes what the cache has, checks and unpacks it", async () => {
    write("top/inner/file.txt", "content");
    execFileSync("tar", ["-C", workspace, "-czf", join(workspace, "archive"), "top"]);
    const sha256 = execFileSync("sha256sum", [join(workspace, "archive")], { encoding: "utf8" }).slice(0, 64);
    const uses = (sum: string) =>
      `[{uses: fetch, with: {uri: "https://example.test/demo-1.0.tar.gz", expected-sha256: ${sum}}}]`;
    // The cache directory lies in the workspace here.
    const local = (script: string) => script.replaceAll("/var/cache/melange", "/home/build/cache");
    const fetch = async (sum: string) => {
      const step = (await builtOf(uses(sum))).plan.units[0]?.steps[0];
      if (!step) throw new Error("no step");
      return runStep({ ...step, script: local(step.script) }, workspace, shell);
    };
    mkdirSync(join(workspace, "cache"));
    execFileSync("cp", [join(workspace, "archive"), join(workspace, "cache", `sha256:${sha256}`)]);
    expect(await fetch(sha256)).toMatch(/exit 0$/);
    expect(read("inner/file.txt")).toBe("content");
    expect(files(".")).toContain("demo-1.0.tar.gz");

    const wrong = "0".repeat(64);
    execFileSync("cp", [join(workspace, "archive"), join(workspace, "cache", `sha256:${wrong}`)]);
    expect(await fetch(wrong)).toMatch(/exit 1$/);
  });

  test("patch applies patches and series, and refuses what lies outside", async () => {
    const change = (from: string, to: string) => `--- a/f\n+++ b/f\n@@ -1 +1 @@\n-${from}\n+${to}\n`;
    write("f", "one\n");
    write("1.patch", change("one", "two"));
    write("patches/2.patch", change("two", "three"));
    write("series", "# comment\n\npatches/2.patch -p1\n");
    runBuild(
      await builtOf("[{uses: patch, with: {patches: 1.patch}}, {uses: patch, with: {series: series}}]"),
      workspace,
      shell,
    );
    expect(read("f")).toBe("three\n");

    for (const patches of ["/etc/passwd", "../../etc/passwd", "missing.patch"]) {
      const step = (await builtOf(`[{uses: patch, with: {patches: ${patches}}}]`)).plan.units[0]?.steps[0];
      expect(step && runStep(step, workspace, shell), patches).not.toMatch(/exit 0$/);
    }
    symlinkSync("/etc/passwd", join(workspace, "link.patch"));
    const step = (await builtOf("[{uses: patch, with: {patches: link.patch}}]")).plan.units[0]?.steps[0];
    expect(step && runStep(step, workspace, shell)).toContain("link.patch is not in /home/build");
  });

  test("split/dev, split/lib, split/bin and split/static move what is theirs", async () => {
    const out = "melange-out/demo/";
    for (const file of [
      "usr/include/a b.h",
      "usr/lib/libx.so.1.2",
      "usr/lib/liby.so.3",
      "usr/lib/libx.a",
      "usr/lib/cmake/x.cmake",
      "usr/lib/plugins/p.so",
      "usr/share/pkgconfig/x.pc",
      "usr/bin/x-config",
      "usr/bin/tool",
      "usr/src/deep/header.h",
    ]) {
      write(out + file);
    }
    symlinkSync("libx.so.1.2", join(workspace, `${out}usr/lib/libx.so`));
    symlinkSync("libx.so.1.2", join(workspace, `${out}usr/lib/libx.so.1`));
    const built = await builtOf(
      "[]",
      `subpackages:
  - {name: demo-static, pipeline: [{uses: split/static}]}
  - {name: demo-dev, pipeline: [{uses: split/dev}]}
  - {name: demo-libx, pipeline: [{uses: split/lib, with: {patterns: libx}}]}
  - {name: demo-libs, pipeline: [{uses: split/lib}]}
  - {name: demo-bin, pipeline: [{uses: split/bin}]}
`,
    );
    runBuild(built, workspace, shell);
    const only = (name: string) =>
      files(`melange-out/${name}`).filter((path) => /\.|tool|config/.test(path.split("/").at(-1) ?? ""));
    expect(only("demo-static")).toEqual(["usr/lib/libx.a"]);
    expect(only("demo-dev")).toEqual([
      "usr/bin/x-config",
      "usr/include/a b.h",
      "usr/lib/cmake/x.cmake",
      "usr/lib/libx.so",
      "usr/share/pkgconfig",
      "usr/share/pkgconfig/x.pc",
      "usr/src/deep/header.h",
    ]);
    expect(only("demo-libx")).toEqual(["usr/lib/libx.so.1", "usr/lib/libx.so.1.2"]);
    expect(only("demo-libs")).toEqual(["usr/lib/liby.so.3"]);
    expect(only("demo-bin")).toEqual(["usr/bin/tool"]);
    expect(files("melange-out/demo")).toEqual(["usr", "usr/lib", "usr/lib/plugins", "usr/lib/plugins/p.so"]);
  });

  test("split pipelines merge into what a subpackage has, and refuse the main package", async () => {
    write("melange-out/demo/usr/share/man/man1/new.1");
    write("melange-out/demo-doc/usr/share/man/man1/kept.1");
    runBuild(
      await builtOf("[]", "subpackages: [{name: demo-doc, pipeline: [{uses: split/manpages}]}]"),
      workspace,
      shell,
    );
    expect(files("melange-out/demo-doc/usr/share/man/man1")).toEqual(["kept.1", "new.1"]);
    expect(existsSync(join(workspace, "melange-out/demo/usr/share/man"))).toBe(false);
    const step = (await builtOf("[{uses: split/manpages}]")).plan.units[0]?.steps[0];
    expect(step && runStep(step, workspace, shell)).toContain("use it in a subpackage");
  });

  test("split/debug keeps the symbols apart", async ({ skip }) => {
    for (const tool of ["gcc", "objcopy", "scanelf"])
      if (spawnSync(tool, ["--version"]).error) skip(`there is no ${tool}`);
    write("main.c", "int main(void) { return 0; }\n");
    mkdirSync(join(workspace, "melange-out/demo/usr/bin"), { recursive: true });
    const program = join(workspace, "melange-out/demo/usr/bin/program");
    execFileSync("gcc", ["-g", "-o", program, join(workspace, "main.c")]);
    chmodSync(program, 0o755);
    runBuild(await builtOf("[]", "subpackages: [{name: demo-dbg, pipeline: [{uses: split/debug}]}]"), workspace, shell);
    const sections = (path: string) => execFileSync("readelf", ["-S", "-W", path], { encoding: "utf8" });
    expect(sections(program)).toContain(".gnu_debuglink");
    expect(sections(program)).not.toContain(".debug_info");
    expect(sections(join(workspace, "melange-out/demo-dbg/usr/lib/debug/usr/bin/program.debug"))).toContain(
      ".debug_info",
    );
  });

  test("git-checkout takes tags and branches at the expected commit only, beside what is there", async ({ skip }) => {
    if (spawnSync("git", ["--version"]).error) skip("there is no git");
    const git = (...words: string[]) =>
      execFileSync(
        "git",
        ["-C", join(workspace, "origin"), "-c", "user.name=t", "-c", "user.email=t@example.test", ...words],
        {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        },
      ).trim();
    mkdirSync(join(workspace, "origin"));
    git("init", "-q", "-b", "main");
    const commit = (name: string) => {
      write(`origin/${name}`, name);
      git("add", ".");
      git("commit", "-q", "-m", name);
      return git("rev-parse", "HEAD");
    };
    const first = commit("one");
    git("tag", "-a", "v1", "-m", "v1");
    const second = commit("two");
    git("checkout", "-q", "-b", "side", first);
    const side = commit("picked");
    git("checkout", "-q", "main");
    write("beside.txt");

    const checkout = async (input: Record<string, string>, destination: string) => {
      const arguments_ = { repository: "file:///home/build/origin", destination, "max-retries": "0", ...input };
      const step = (await builtOf(JSON.stringify([{ uses: "git-checkout", with: arguments_ }]))).plan.units[0]
        ?.steps[0];
      return step ? runStep(step, workspace, shell) : "";
    };
    expect(await checkout({ tag: "v1", "expected-commit": first }, ".")).toMatch(/exit 0$/);
    expect(files(".")).toEqual(expect.arrayContaining(["beside.txt", "one", ".git/HEAD"]));
    expect(await checkout({ tag: "v1", "expected-commit": second }, "a")).toMatch(/not the expected[\s\S]*exit 1$/);
    expect(await checkout({ tag: "v1", "expected-commit": git("rev-parse", "v1") }, "b")).toMatch(/exit 0$/);
    expect(await checkout({ branch: "main", "expected-commit": first }, "c")).toMatch(/exit 0$/);
    expect(files("c")).not.toContain("two");
    expect(
      await checkout({ branch: "main", "expected-commit": first, "expected-commit-is-branch-tip": "true" }, "d"),
    ).toMatch(/exit 1$/);
    expect(await checkout({ branch: "main", "expected-commit": side }, "e")).toMatch(/exit 1$/);
    expect(await checkout({ branch: "main", tag: "v1" }, "f")).toMatch(/exit 1$/);
    const picks = `# comment\nside/${side}: a fix\n`;
    expect(await checkout({ branch: "main", "expected-commit": second, "cherry-picks": picks }, "g")).toMatch(
      /exit 0$/,
    );
    expect(files("g")).toEqual(expect.arrayContaining(["one", "picked", "two"]));
  });
});
