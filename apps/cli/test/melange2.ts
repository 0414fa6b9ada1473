import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { chown, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeOwnTree } from "@melange2-tooling/services";

export const program = join(import.meta.dirname, "..", "bin", "run.js");

/** What the program's first line gives Node; from there it would be the Node on PATH, which not every test has. */
const nodeFlags = /^#!.* node (.*) --$/m.exec(readFileSync(program, "utf8"))?.[1]?.split(" ") ?? [];

/** The architecture that packages have here. */
export const arch = process.arch === "arm64" ? "aarch64" : "x86_64";

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Place extends AsyncDisposable {
  /** An empty folder of this test's own; melange2's state is in `state` beneath it. */
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  /** Runs the program as users have it, in the folder. */
  run(args: readonly string[], options?: { env?: NodeJS.ProcessEnv; input?: string }): Promise<Ended>;
  /** The same, read as `--json`. */
  json(
    args: readonly string[],
    options?: { env?: NodeJS.ProcessEnv },
  ): Promise<{ code: number | null; value: unknown; stderr: string }>;
  /** Runs a line of the shell, such as a command that was printed to be pasted. */
  shell(line: string): Promise<Ended>;
  /** Starts the program; its streams are pipes. */
  start(args: readonly string[], env?: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams;
  /** The same for any other command, as the user who calls melange2 here. */
  spawn(argv: readonly string[], env?: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams;
}

/** A place to call melange2 in, apart from everything else on this machine. `user`: who calls it, where root tests for others. */
export async function place(user?: string): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), "melange2-test-"));
  const own = {
    MELANGE2_STATE_DIR: join(directory, "state"),
    CI: "",
    npm_lifecycle_event: undefined,
    NODE_ENV: undefined,
  };
  const env: NodeJS.ProcessEnv = { ...process.env, ...own };
  const become: string[] = [];
  if (user !== undefined) {
    const [, , uid, gid, , home] = execFileSync("getent", ["passwd", user], { encoding: "utf8" }).split(":");
    await chown(directory, Number(uid), Number(gid));
    Object.assign(env, { HOME: home, USER: user, LOGNAME: user });
    become.push("setpriv", "--reuid", user, "--regid", user, "--init-groups");
  }
  const spawnHere: Place["spawn"] = (argv, extra = {}) => {
    const [first = "", ...rest] = [...become, ...argv];
    return spawn(first, rest, { cwd: directory, env: { ...env, ...extra } });
  };
  const start: Place["start"] = (args, extra) => spawnHere([process.execPath, ...nodeFlags, program, ...args], extra);
  const run: Place["run"] = (args, { env: extra, input } = {}) => ended(start(args, extra), input);

  return {
    directory,
    env,
    run,
    shell: (line) => ended(spawnHere(["/bin/sh", "-c", line])),
    async json(args, options) {
      const { code, stdout, stderr } = await run([...args, "--json"], options);
      return { code, value: JSON.parse(stdout.toString()), stderr };
    },
    start,
    spawn: spawnHere,
    async [Symbol.asyncDispose]() {
      await removeOwnTree(directory);
    },
  };
}

async function ended(child: ChildProcessWithoutNullStreams, input = ""): Promise<Ended> {
  const stdout: Buffer[] = [];
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin.on("error", () => {}); // A program need not read it.
  child.stdin.end(input);
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout: Buffer.concat(stdout), stderr };
}
