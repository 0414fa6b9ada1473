import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  type Engine,
  type EngineOptions,
  type EngineSession,
  type Environment,
  isMelangeError,
  noSecrets,
  type RunOptions,
  type RunResult,
  type Snapshot,
  type Step,
  type Unit,
} from "@melange2/core";
import { byteString, collect, entryPath, layerFromEntries, readTar, type TarHeader, tarHeader } from "@melange2/oci";
import { testStep, testUnit } from "../plan-parts.ts";
import type { SuiteTest, SuiteTestContext } from "../suite-test.ts";

/** What an engine may lack on some hosts without being wrong. */
export type EngineFeature = "users" | "fifos";

export interface EngineSubject extends AsyncDisposable {
  readonly engine: Engine;
}

export interface EngineSuiteOptions {
  readonly test: SuiteTest;
  /** An engine for one test. It may be the same one each time: no test depends on what another left. */
  readonly subject: () => Promise<EngineSubject>;
  /** A root filesystem with busybox's applets in the default PATH, `/bin/sh` among them. */
  readonly base: Environment;
  /** What this host's engine cannot do, and why: those tests are skipped with this reason. `users`: steps of other users than root; `fifos`: reading a folder gives them, too. */
  readonly lacks?: Partial<Readonly<Record<EngineFeature, string>>>;
}

/** What came of a run, with the output of each step. */
export interface Ran {
  readonly result: RunResult;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  readonly events: readonly (readonly [number, "start" | "end"])[];
}

export interface TreeNode {
  readonly header: TarHeader;
  readonly text: string;
}

/** One session on the suite's environment, with shorthands. */
export interface Bench {
  readonly engine: Engine;
  readonly session: EngineSession;
  /** The suite's environment, loaded. */
  readonly start: Snapshot;
  readonly environment: Environment;
  readonly signal: AbortSignal;
  /** A step that no other test has; `changes` as in `testStep`. */
  step(script: string, changes?: Partial<Step>): Step;
  unit(script: string, changes?: Partial<Step>): Unit;
  run(unit: Unit, from: Snapshot, options?: Partial<RunOptions>): Promise<Ran>;
  /** Runs a script as one unit and gives the state it leaves; a test failure if it fails. */
  succeed(script: string, from?: Snapshot, changes?: Partial<Step>): Promise<Snapshot>;
  /** What a script writes to stdout, without the newline at the end. */
  tell(script: string, from?: Snapshot, changes?: Partial<Step>): Promise<string>;
  /** What is at and beneath a path, by path relative to it: the empty path is itself. */
  look(at: Snapshot, path: string): Promise<ReadonlyMap<string, TreeNode>>;
  /** Another session of the same engine, on the same environment. */
  again(options?: Partial<EngineOptions>): Promise<Bench & AsyncDisposable>;
}

export type Body = (bench: Bench, context: SuiteTestContext) => Promise<void>;
export type Declare = (name: string, body: Body, session?: Partial<EngineOptions>) => void;

/** Declares tests that each get a session. */
export function benchTests({ test, subject, base }: EngineSuiteOptions): Declare {
  const environment = { ...base, layers: [...base.layers, suiteLayer()] };
  return (name, body, session = {}) =>
    test(name, async (context) => {
      await using owned = await subject();
      await using bench = await openBench(owned.engine, environment, session);
      await body(bench, context);
    });
}

/** The mtime of `/suite/keep`: not on a whole second. */
export const suiteTime = 1_600_000_000_123_456_789n;

/** Files of the environment whose every property the suite knows. */
function suiteLayer() {
  const file = (name: string, text: string, more: Partial<TarHeader> = {}) => {
    const body = new TextEncoder().encode(text);
    return {
      header: tarHeader({ name: byteString(name), type: "file", size: body.length, mtime: suiteTime, ...more }),
      body,
    };
  };
  const folder = (name: string, more: Partial<TarHeader> = {}) => ({
    header: tarHeader({ name, type: "directory", mtime: suiteTime, ...more }),
  });
  return layerFromEntries([
    folder("suite"),
    file("suite/keep", "keep", { mode: 0o640 }),
    file("suite/delete", "delete"),
    file("suite/change", "before"),
    file("suite/setuid", "x", { mode: 0o4755 }),
    file("suite/ümläut", "utf-8"),
    { header: tarHeader({ name: "suite/link", type: "symlink", linkname: "keep", mtime: suiteTime }) },
    {
      header: tarHeader({
        name: "suite/hard",
        type: "hardlink",
        linkname: "suite/keep",
        mode: 0o640,
        mtime: suiteTime,
      }),
    },
    folder("suite/folder"),
    file("suite/folder/inner", "inner"),
    folder("suite/open", { mode: 0o1777 }),
  ]);
}

async function openBench(
  engine: Engine,
  environment: Environment,
  options: Partial<EngineOptions>,
): Promise<Bench & AsyncDisposable> {
  const { signal } = new AbortController();
  const session = await engine.open({ capture: true, secrets: noSecrets, network: false, signal, ...options });
  const nonce = randomUUID();
  let steps = 0;
  const step = (script: string, changes: Partial<Step> = {}): Step => {
    const { env, ...rest } = changes;
    const plain = testStep(`main-${steps++}`, script, { workdir: "/suite", ...rest });
    return { ...plain, env: { ...plain.env, SUITE_NONCE: nonce, ...env } };
  };
  const run: Bench["run"] = async (unit, from, given = {}) => {
    const chunks = { stdout: unit.steps.map((): Uint8Array[] => []), stderr: unit.steps.map((): Uint8Array[] => []) };
    const events: (readonly [number, "start" | "end"])[] = [];
    const result = await session.run(unit, from, {
      signal,
      onStep: (index, event) => events.push([index, event]),
      ...given,
      onOutput: (chunk) => {
        chunks[chunk.stream][chunk.step]?.push(Uint8Array.from(chunk.data));
        given.onOutput?.(chunk);
      },
    });
    const texts = (all: readonly Uint8Array[][]) => all.map((parts) => Buffer.concat(parts).toString());
    return { result, stdout: texts(chunks.stdout), stderr: texts(chunks.stderr), events };
  };
  const start = await session.load(environment, { signal }).catch(async (error: unknown) => {
    await session[Symbol.asyncDispose]();
    throw error;
  });
  const bench: Bench = {
    engine,
    session,
    start,
    environment,
    signal,
    step,
    unit: (script, changes) => testUnit(step(script, changes)),
    run,
    async succeed(script, from = start, changes = {}) {
      const { result, stderr } = await run(bench.unit(script, changes), from);
      assert.ok(result.ok, `the step fails: ${script}\n${JSON.stringify(result.ok || result.exit)}\n${stderr[0]}`);
      return result.after;
    },
    async tell(script, from = start, changes = {}) {
      const { result, stdout, stderr } = await run(bench.unit(script, changes), from);
      assert.ok(result.ok, `the step fails: ${script}\n${JSON.stringify(result.ok || result.exit)}\n${stderr[0]}`);
      return (stdout[0] ?? "").replace(/\n$/, "");
    },
    look: (at, path) => readTree(session, at, path, signal),
    again: (more) => openBench(engine, environment, { ...options, ...more }),
  };
  return { ...bench, [Symbol.asyncDispose]: () => session[Symbol.asyncDispose]() };
}

const largestFile = 64 << 20;

async function readTree(session: EngineSession, at: Snapshot, path: string, signal: AbortSignal) {
  const own = path.split("/").filter(Boolean).at(-1) ?? "";
  const tree = new Map<string, TreeNode>();
  for await (const { header, body } of readTar(session.read(at, path, { signal }))) {
    const name = Buffer.from(entryPath(header.name), "latin1").toString();
    const text = Buffer.from(await collect(body, largestFile, name)).toString();
    if (own === "") tree.set(name, { header, text });
    else {
      assert.ok(name === own || name.startsWith(`${own}/`), `read of ${path} gives ${name}`);
      tree.set(name.slice(own.length + 1), { header, text });
    }
  }
  return tree;
}

/** Path to text of the plain files in a tree. */
export function texts(tree: ReadonlyMap<string, TreeNode>): Readonly<Record<string, string>> {
  const files = [...tree].filter(([, { header }]) => header.type === "file");
  return Object.fromEntries(files.map(([path, { text }]) => [path, text]));
}

export async function assertRejects(promise: Promise<unknown>, code: string): Promise<void> {
  const outcome = await promise.then(
    () => "it resolved",
    (error: unknown) => (isMelangeError(error) ? error.code : error),
  );
  assert.equal(outcome, code);
}

export async function drained(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _chunk of bytes);
}
