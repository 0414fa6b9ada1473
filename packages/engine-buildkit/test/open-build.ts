import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EngineOptions,
  type EngineSession,
  type Environment,
  noSecrets,
  type RunOptions,
  type RunResult,
  type Snapshot,
  type Step,
} from "@melange2/core";
import { testStep, testUnit } from "@melange2/testkit";
import { beforeAll, describe } from "vitest";
import { buildkitEngine } from "../src/index.ts";
import { busyboxEnvironment, context, type daemons, never } from "./daemons.ts";

export interface Ran {
  readonly result: RunResult;
  readonly output: string;
}

const tar = process.env.MELANGE2_TEST_BUSYBOX_TAR;

/** Tests on each of these daemons that is there, with builds on a base of one static program. */
export function describeOn(
  chosen: readonly (typeof daemons)[number][],
  title: string,
  tests: (open: () => Promise<TestBuild>, address: string) => void,
): void {
  describe.each(chosen)(title, ({ address = "" }) => {
    describe.skipIf(address === "" || tar === undefined)("", () => {
      let environment: Environment;
      beforeAll(() => {
        environment = busyboxEnvironment(tar as string);
      });
      tests(() => openBuild(address, environment), address);
    });
  });
}

/** One session and how tests use it. */
export interface TestBuild extends AsyncDisposable {
  readonly session: EngineSession;
  readonly start: Snapshot;
  run(from: Snapshot, script: string, changes?: Partial<Step>, options?: Partial<RunOptions>): Promise<Ran>;
  /** Runs scripts one on another and gives the last result; a test failure if one before fails. */
  chain(...scripts: readonly string[]): Promise<Ran>;
}

export async function openBuild(
  address: string,
  environment: Environment,
  options: Partial<EngineOptions> = {},
): Promise<TestBuild> {
  const engine = buildkitEngine(context(address, mkdtempSync(join(tmpdir(), "engine-buildkit-"))));
  const session = await engine.open({ capture: true, secrets: noSecrets, network: false, signal: never, ...options });
  const start = await session.load(environment, { signal: never });
  const run: TestBuild["run"] = async (from, script, changes, given) => {
    const chunks: Uint8Array[] = [];
    const result = await session.run(testUnit(testStep("main-0", script, changes)), from, {
      signal: never,
      ...given,
      onOutput: (chunk) => {
        chunks.push(Uint8Array.from(chunk.data));
        given?.onOutput?.(chunk);
      },
    });
    return { result, output: Buffer.concat(chunks).toString() };
  };
  return {
    session,
    start,
    run,
    async chain(...scripts) {
      let at = start;
      let last: Ran | undefined;
      for (const script of scripts) {
        if (last !== undefined) at = after(last);
        last = await run(at, script);
      }
      if (last === undefined) throw new TypeError("no script was given");
      return last;
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

export function after({ result }: Ran): Snapshot {
  if (!result.ok) throw new Error(`the step failed: ${JSON.stringify(result.exit)}`);
  return result.after;
}

export function atFailure({ result }: Ran): Snapshot {
  if (result.ok) throw new Error("the step did not fail");
  if ("unavailable" in result.atFailure) throw new Error(result.atFailure.unavailable);
  return result.atFailure;
}
