import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bytes, EngineOptions, EngineSession, RunOptions, RunResult, Snapshot, Step } from "@melange2/core";
import { noSecrets } from "@melange2/core";
import { type FlatEntry, flatten, layerFromTar } from "@melange2/oci";
import { testStep, testUnit } from "@melange2/testkit";
import { localEngine, type Upkeep } from "../src/index.ts";
import { hasBusybox } from "./busybox-environment.ts";

export const never = new AbortController().signal;

/** A folder of the test's own, on a real disk. */
export function scratch(): string {
  return realpathSync(mkdtempSync(join(process.env.MELANGE2_TEST_SCRATCH ?? tmpdir(), "engine-local-")));
}

export function context(stateDirectory: string) {
  return { stateDirectory, env: process.env, options: {} };
}

/** Why sandboxes cannot be tested here; undefined: they can. */
export async function whyNot(): Promise<string | undefined> {
  if (!hasBusybox) return "MELANGE2_TEST_BUSYBOX_DIR is not set";
  const findings = await localEngine(context(tmpdir())).check({ signal: never });
  return findings.find(({ severity }) => severity === "error")?.message;
}

/** One session and how tests use it. */
export interface LocalBuild extends AsyncDisposable {
  readonly session: EngineSession;
  readonly stateDirectory: string;
  /** Runs scripts as one unit. */
  run(from: Snapshot, steps: Steps, options?: Partial<RunOptions>): Promise<Ran>;
  /** Runs one script that must succeed. */
  after(from: Snapshot, script: string, changes?: Partial<Step>): Promise<Snapshot>;
  /** Runs one script that must fail, and tells what it left. */
  afterFailure(from: Snapshot, script: string): Promise<Snapshot>;
  tree(at: Snapshot): Promise<ReadonlyMap<string, FlatEntry>>;
}

export type Steps = readonly (string | readonly [script: string, changes: Partial<Step>])[];

export interface Ran {
  readonly result: RunResult;
  /** By step. */
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  readonly events: readonly string[];
}

export async function openBuild(
  options: Partial<EngineOptions> & Upkeep & { stateDirectory?: string } = {},
): Promise<LocalBuild> {
  const { stateDirectory = join(scratch(), "state"), cacheBytes, ...rest } = options;
  const session = await localEngine(context(stateDirectory), cacheBytes === undefined ? {} : { cacheBytes }).open({
    capture: true,
    secrets: noSecrets,
    network: true,
    signal: never,
    ...rest,
  });

  const run: LocalBuild["run"] = async (from, steps, overrides = {}) => {
    const unit = testUnit(
      ...(steps.map((step, index) =>
        typeof step === "string" ? testStep(`s${index}`, step) : testStep(`s${index}`, step[0], step[1]),
      ) as [Step, ...Step[]]),
    );
    const output = steps.map(() => ({ stdout: "", stderr: "" }));
    const events: string[] = [];
    const result = await session.run(unit, from, {
      signal: never,
      onOutput: ({ step, stream, data }) => {
        const one = output[step];
        if (one !== undefined) one[stream] += Buffer.from(data).toString("latin1");
      },
      onStep: (step, event) => events.push(`${event} ${step}`),
      ...overrides,
    });
    return {
      result,
      stdout: output.map(({ stdout }) => stdout),
      stderr: output.map(({ stderr }) => stderr),
      events,
    };
  };

  return {
    session,
    stateDirectory,
    run,
    async after(from, script, changes = {}) {
      const { result, stderr } = await run(from, [[script, changes]]);
      if (!result.ok) throw new Error(`step failed with ${JSON.stringify(result.exit)}: ${stderr.join("")}`);
      return result.after;
    },
    async afterFailure(from, script) {
      const { result } = await run(from, [script]);
      if (result.ok) throw new Error("the step did not fail");
      return stateOf(result);
    },
    tree: async (at) => flatten([await layerFromTar(() => session.read(at, "/", { signal: never }))]),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** The state that a run ended with, good or bad. */
export function stateOf(result: RunResult): Snapshot {
  const state = result.ok ? result.after : result.atFailure;
  if ("unavailable" in state) throw new Error(state.unavailable);
  return state;
}

export async function textOf(bytes: Bytes): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
