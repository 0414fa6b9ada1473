import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { aRecord } from "../test/failed-record.ts";
import { environment, step } from "../test/plan-parts.ts";
import { debugDirectory, debugImageSpec } from "./debug-image.ts";
import type { Step } from "./plan.ts";
import type { CaptureRecord } from "./record.ts";

const shells = [
  { name: "dash", argv: ["/usr/bin/dash"] },
  { name: "bash", argv: ["/usr/bin/bash", "--posix"] },
  { name: "busybox", argv: [join(process.env.MELANGE2_TEST_BUSYBOX_DIR ?? "/usr", "bin/busybox"), "sh"] },
].filter(({ argv: [program = ""] }) => existsSync(program));

const root = mkdtempSync(join(tmpdir(), "melange2-rerun-"));
chmodSync(root, 0o755);
afterAll(() => rmSync(root, { recursive: true }));
let images = 0;

interface Image {
  /** The image's `/.melange2`, in a folder of this machine. */
  readonly here: string;
  readonly start: string;
}

/** Writes the files of a debug image, with `rerun` looking for them where they are. */
async function image(parts: Partial<Step>, state: CaptureRecord["state"] = "before"): Promise<Image> {
  images += 1;
  const folder = join(root, String(images));
  const start = join(folder, "start here");
  mkdirSync(start, { recursive: true });
  const spec = debugImageSpec({
    record: aRecord({ failed: step("b", { user: ownUser, ...parts }) }),
    capture: { strategy: "x", state, reexecuted: 0, exact: true },
    environment,
    source: { text: "", copyName: "recipe.yaml" },
    log: new Uint8Array(),
    workspace: start,
  });
  for (const file of spec.files) {
    const path = join(folder, file.path);
    if (file.kind === "directory") {
      mkdirSync(path);
      continue;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of file.open()) chunks.push(chunk);
    writeFileSync(path, Buffer.concat(chunks), { mode: file.mode });
  }
  const here = join(folder, debugDirectory);
  const moved = Buffer.concat(
    await Array.fromAsync(spec.files.find(({ path }) => path.endsWith("/rerun"))?.open() ?? []),
  )
    .toString()
    .replace(`here=/${debugDirectory}\n`, `here='${here}'\n`);
  writeFileSync(join(here, "rerun"), moved, { mode: 0o755 });
  return { here, start };
}

const ownUser = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const isRoot = ownUser.uid === 0;

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function rerun(
  shell: readonly string[],
  { here }: Image,
  env: Record<string, string> = {},
  before: string[] = [],
): Run {
  const [program = "", ...args] = [...before, ...shell, join(here, "rerun")];
  const { status, stdout, stderr } = spawnSync(program, args, {
    env: { PATH: "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", OF_THE_CONTAINER: "1", ...env },
    cwd: "/",
    encoding: "utf8",
  });
  return { code: status, stdout, stderr };
}

/** Shows what the step's own shell was started with, as the kernel has it: one variable between NULs. */
const showEnvironment = "cat /proc/$$/environ";
function variables(output: string): Record<string, string> {
  const pairs = output.split("\0").filter((pair) => pair !== "");
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

/** Some builds of busybox prefer their own, smaller programs to those in PATH. */
function findsPrograms([program = "", ...args]: readonly string[]): boolean {
  const { stdout } = spawnSync(program, [...args, "-c", "command -v setpriv && command -v chroot"], {
    encoding: "utf8",
  });
  return /^\/\S+\n\/\S+\n$/.test(stdout);
}

describe.each(shells)("rerun under $name", ({ argv }) => {
  test("gives the step its recorded environment, byte by byte, and nothing else", async () => {
    const env = {
      PATH: "/usr/bin:/bin",
      EMPTY: "",
      NEWLINES: "a\n\nb",
      TRAILING: "ends\n\n\n",
      ONLY_NEWLINE: "\n",
      QUOTES: `it's "so" \\ \\n`,
      SUBSTITUTION: "$(id) `id` $HOME $$ $",
      GLOBS: "* ? [a] ~ ~root",
      UNICODE: "ünï€😀",
      TABS: "\t a  b \t",
      PERCENT: "%s %n %%",
      EQUALS: "a=b=c",
      "with.dot-and-dash": "1",
      "-u": "no option",
      X: "x",
      ENDS_WITH_X: "\nx",
    };
    const { stdout, stderr, code } = rerun(argv, await image({ env, script: showEnvironment }));
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(variables(stdout)).toEqual(env);
  });

  test("runs a command that is no script, word by word", async () => {
    const command = ["/bin/sh", "-c", 'printf "%s|" "$0" "$@"; pwd', "zero", "a b", "", "$(id)\n", "-n"];
    const made = await image({ script: "never", command });
    expect(rerun(argv, made)).toEqual({ code: 0, stdout: `zero|a b||$(id)\n|-n|${made.start}\n`, stderr: "" });
  });

  test("runs the script byte by byte, in the directory where the step began", async () => {
    const script = `pwd\nprintf '%s|' "$0" "$#" 'ü\n\n'\ncat <<'END'\n$(id) \\n \`id\`\nEND\n: '\n'\n\n`;
    const made = await image({ script });
    const { stdout, code } = rerun(argv, made);
    expect(code).toBe(0);
    expect(stdout).toBe(`${made.start}\n/bin/sh|0|ü\n\n|$(id) \\n \`id\`\n`);
  });

  test.each([0, 1, 3, 126, 255])("passes the exit code %i through", async (code) => {
    expect(rerun(argv, await image({ script: `exit ${code}` })).code).toBe(code);
  });

  test("gives the script the standard input", async () => {
    const made = await image({ script: "cat" });
    const [program = "", ...args] = [...argv, join(made.here, "rerun")];
    expect(spawnSync(program, args, { input: "typed\n", encoding: "utf8" }).stdout).toBe("typed\n");
  });

  describe("where the step had secrets", () => {
    const parts = { secretEnv: ["TOKEN", "OTHER_KEY"], env: { PATH: "/usr/bin:/bin" }, script: showEnvironment };

    test("refuses while one is missing and names it", async () => {
      const made = await image(parts);
      const none = rerun(argv, made);
      expect([none.code, none.stdout]).toEqual([2, ""]);
      expect(none.stderr).toContain(": TOKEN OTHER_KEY\n");
      const one = rerun(argv, made, { TOKEN: "hunter2" });
      expect([one.code, one.stdout]).toEqual([2, ""]);
      expect(one.stderr).toContain(": OTHER_KEY\n");
      expect(one.stderr).not.toContain("hunter2");
    });

    test("passes them byte by byte", async () => {
      const values = { TOKEN: "a'b\"c $(id)\n\n", OTHER_KEY: "" };
      const { stdout, code } = rerun(argv, await image(parts), values);
      expect(code).toBe(0);
      expect(variables(stdout)).toEqual({ ...parts.env, ...values });
    });
  });

  test("warns where the step's partial effects are there, and of mounts", async () => {
    const mounts = [{ kind: "cache", source: "/var/cache/m", target: "/var/cache/melange" }] as const;
    const made = rerun(argv, await image({ script: "echo ran", mounts }, "at-failure"));
    expect([made.code, made.stdout]).toEqual([0, "ran\n"]);
    expect(made.stderr.split("\n")).toEqual([
      expect.stringContaining("partial effects are there"),
      expect.stringContaining("/var/cache/melange (cache) was mounted from the machine"),
      "",
    ]);
  });

  test("refuses to run nothing where the script is gone", async () => {
    const made = await image({ script: "echo ran" });
    rmSync(join(made.here, "script"));
    expect(rerun(argv, made)).toMatchObject({ code: 2, stdout: "" });
  });

  describe("where the step was another user", () => {
    beforeEach(({ skip }) => {
      skip(!isRoot, "only root can become another user");
      skip(!findsPrograms(argv), "this shell has setpriv or chroot of its own, which cannot change the user");
    });
    const user = { uid: 12345, gid: 23456 };
    const env = { PATH: "/nowhere", TRAILING: "ends\n" };
    // Found by no PATH: the programs that change the user are those of the container, not of the recorded PATH.
    const script = `/usr/bin/id -u; /usr/bin/id -g; /usr/bin/id -G; pwd; /bin/${showEnvironment}`;

    function expectTheUser({ code, stdout, stderr }: Run, made: Image): void {
      expect(stderr).toBe("");
      expect(code).toBe(0);
      const [uid, gid, groups, directory, ...rest] = stdout.split("\n");
      expect([uid, gid, groups, directory]).toEqual(["12345", "23456", "23456", made.start]);
      expect(variables(rest.join("\n"))).toEqual(env);
    }

    /** A PATH with the container's programs but these. */
    function without(made: Image, ...names: readonly string[]): Record<string, string> {
      const bin = join(dirname(made.here), "bin");
      mkdirSync(bin);
      for (const name of names) writeFileSync(join(bin, name), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
      return { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` };
    }

    test("becomes it by setpriv", async () => {
      const made = await image({ user, env, script });
      expectTheUser(rerun(argv, made, without(made, "chroot")), made);
    });

    test("becomes it by chroot where setpriv cannot", async () => {
      const made = await image({ user, env, script });
      expectTheUser(rerun(argv, made, without(made, "setpriv")), made);
    });

    test("says what to do where nothing can", async () => {
      const made = await image({ user, script: "echo ran" });
      const { code, stdout, stderr } = rerun(argv, made, without(made, "setpriv", "chroot"));
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toContain("--user 12345:23456");
    });

    test("does not take root with another group for the step's user", async () => {
      const made = await image({ user: { uid: 0, gid: 23456 }, script: "/usr/bin/id -g" });
      expect(rerun(argv, made)).toMatchObject({ code: 0, stdout: "23456\n" });
    });

    test("passes its exit code and its secrets on", async () => {
      const made = await image({ user, secretEnv: ["TOKEN"], script: 'printf "%s" "$TOKEN"; exit 7' });
      expect(rerun(argv, made, { TOKEN: "hunter2" })).toEqual({ code: 7, stdout: "hunter2", stderr: "" });
    });

    test("runs at once in a container that is that user already, and as no third one", async () => {
      const made = await image({ user, script: "id -u; id -g" });
      const as = (uid: number, gid: number) => ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
      expect(rerun(argv, made, {}, as(12345, 23456))).toEqual({ code: 0, stdout: "12345\n23456\n", stderr: "" });
      const third = rerun(argv, made, {}, as(12346, 23456));
      expect([third.code, third.stdout]).toEqual([2, ""]);
      expect(third.stderr).toContain("the step ran as 12345:23456");
    });
  });
});
