import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const program = join(import.meta.dirname, "..", "bin", "run.js");

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
  start(args: readonly string[]): ReturnType<typeof spawn>;
}

/** A place to call melange2 in, apart from everything else on this machine. */
export async function place(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), "melange2-test-"));
  const env = { ...process.env, MELANGE2_STATE_DIR: join(directory, "state"), CI: "", npm_lifecycle_event: undefined };
  const start = (args: readonly string[], extra: NodeJS.ProcessEnv = {}) =>
    spawn(process.execPath, [program, ...args], {
      cwd: directory,
      env: { ...env, ...extra },
      stdio: ["pipe", "pipe", "pipe"],
    });

  async function run(
    args: readonly string[],
    options: { env?: NodeJS.ProcessEnv; input?: string } = {},
  ): Promise<Ended> {
    const child = start(args, options.env);
    const stdout: Buffer[] = [];
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.stdin.end(options.input ?? "");
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    return { code, signal, stdout: Buffer.concat(stdout), stderr };
  }

  return {
    directory,
    env,
    run,
    async json(args, options) {
      const ended = await run([...args, "--json"], options);
      return { code: ended.code, value: JSON.parse(ended.stdout.toString()), stderr: ended.stderr };
    },
    start: (args) => start(args),
    async [Symbol.asyncDispose]() {
      for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true });
      await rm(directory, { recursive: true, force: true });
    },
  };
}
