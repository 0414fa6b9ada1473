import {
  type Engine,
  type EngineCapabilities,
  type EngineOptions,
  type EngineSession,
  type Environment,
  type Exit,
  type Finding,
  holdsSecret,
  isCompressed,
  type Layer,
  MelangeError,
  matcherOf,
  type RunOptions,
  type RunResult,
  type SearchResult,
  type SecretSource,
  type Snapshot,
  type Step,
  type Unit,
} from "@melange2/core";
import { layerFromEntries, textOf, writeTar } from "@melange2/oci";
import { layeredImage } from "../layered-image.ts";
import { layerEntries, subtree, type Tree, treeOf, type WorkingTree, workingTree } from "./tree.ts";

/** What one step does. Returns how it ends: nothing or 0 for success, another exit code, or an {@link Exit}. */
export type StepScript = (
  tree: WorkingTree,
  run: StepRun,
) => undefined | number | Exit | Promise<undefined | number | Exit>;

export interface StepRun {
  readonly step: Step;
  /** How many times this step has been executed by this engine, this time included. */
  readonly execution: number;
  readonly fresh: string | undefined;
  /** Aborted when the build is: the step ends as interrupted whatever the script does then. */
  readonly signal: AbortSignal;
  output(text: string, stream?: "stdout" | "stderr"): void;
  /** undefined unless the step asked for it in `secretEnv`. */
  secret(name: string): string | undefined;
}

/** A call of a session, as {@link ScriptedEngineOptions.before} sees it. */
export type ScriptedCall =
  | { readonly method: "run"; readonly unit: Unit; readonly fresh: string | undefined }
  | {
      readonly method:
        | "check"
        | "open"
        | "load"
        | "read"
        | "search"
        | "deliver"
        | "image.open"
        | "keep"
        | "find"
        | "drop";
    };

export interface ScriptedEngineOptions {
  /** By step ID: a script, or the exit code alone. A step that is not named succeeds and changes nothing. */
  readonly steps?: Readonly<Record<string, StepScript | number>>;
  /** Why states at failure cannot be had. Unset: they can. */
  readonly atFailureUnavailable?: string;
  /** Called, and waited for, before each call of a session: waiting makes the engine slow, throwing breaks it. */
  readonly before?: (call: ScriptedCall) => void | Promise<void>;
  readonly findings?: readonly Finding[];
}

/** An engine in memory with what a test wants to know about it. */
export interface ScriptedEngine extends Engine {
  /** IDs of the steps that were executed, in order, again for each time. Cached ones are not among them. */
  readonly executed: readonly string[];
  readonly calls: readonly ScriptedCall[];
  /** The tree of a state, as paths and texts. */
  files(at: Snapshot): WorkingTree;
  /** Loses every state but the loaded environments, as a pruned daemon does. */
  loseStates(): void;
}

interface State {
  readonly id: string;
  readonly environment: Environment;
  readonly base: Tree;
  /** One for each unit above the base. */
  readonly trees: readonly Tree[];
}

/** An engine whose filesystems are maps and whose steps are functions. Deterministic; keeps states and cache as long as it lives. */
export function scriptedEngine(options: ScriptedEngineOptions = {}): ScriptedEngine {
  const executed: string[] = [];
  const calls: ScriptedCall[] = [];
  const states = new Map<string, State>();
  const cache = new Map<string, string>();
  const kept = new Set<string>();
  let made = 0;
  const enter = async (call: ScriptedCall) => {
    calls.push(call);
    await options.before?.(call);
  };
  const remember = (state: Omit<State, "id">, id = `state-${++made}`): State => {
    const whole = { ...state, id };
    states.set(id, whole);
    return whole;
  };
  const lookUp = (at: Snapshot): State => {
    const state = states.get(at.id);
    if (!state) throw new MelangeError("state-gone", `the state ${at.id} is gone`, { hint: "Build again." });
    return state;
  };

  async function execute(unit: Unit, from: State, session: EngineOptions, run: RunOptions): Promise<RunResult> {
    let tree = latest(from);
    for (const [index, step] of unit.steps.entries()) {
      executed.push(step.id);
      run.onStep?.(index, "start");
      const working = workingTree(tree);
      const exit = await ended(options.steps?.[step.id], working, {
        step,
        execution: executed.filter((id) => id === step.id).length,
        fresh: run.fresh,
        signal: run.signal,
        output: (text, stream = "stdout") =>
          run.onOutput({ step: index, stream, data: new TextEncoder().encode(text) }),
        secret: (name) => (step.secretEnv.includes(name) ? session.secrets.get(name) : undefined),
      });
      run.onStep?.(index, "end");
      tree = working.current;
      if (exit.code !== 0) {
        const atFailure =
          options.atFailureUnavailable === undefined
            ? snapshotOf(remember({ ...from, trees: [...from.trees, tree] }))
            : { unavailable: options.atFailureUnavailable };
        return { ok: false, step: index, exit, atFailure };
      }
    }
    return { ok: true, after: snapshotOf(remember({ ...from, trees: [...from.trees, tree] })), cached: false };
  }

  function openSession(session: EngineOptions): EngineSession {
    const mine = new Set<string>();
    let disposed = false;
    const hand = (state: State): Snapshot => {
      mine.add(state.id);
      return snapshotOf(state);
    };
    const usable = (at: Snapshot): State => {
      if (!mine.has(at.id)) throw broken(`the snapshot ${at.id} is not of this session`);
      return lookUp(at);
    };
    const begin = async (call: ScriptedCall, signal: AbortSignal) => {
      if (disposed) throw broken("the session has ended");
      refuseAborted(signal);
      await enter(call);
      refuseAborted(signal);
    };
    const can: EngineCapabilities = {
      atFailure: options.atFailureUnavailable === undefined,
      mtime: "ns",
      claims: ["archive"],
    };

    return {
      can,
      async load(environment, { signal }) {
        await begin({ method: "load" }, signal);
        const id = `base-${environment.layers.map((layer) => layer.diffId.slice(7, 19)).join("-")}`;
        const known = states.get(id);
        if (known) return hand(known);
        return hand(remember({ environment, base: await treeOf(environment.layers), trees: [] }, id));
      },
      async run(unit, from, run) {
        const state = usable(from);
        await begin({ method: "run", unit, fresh: run.fresh }, run.signal);
        const key = JSON.stringify([from.id, unit, run.fresh ?? ""]);
        const found = states.get(cache.get(key) ?? "");
        if (found) return { ok: true, after: hand(found), cached: true };
        const result = await execute(unit, state, session, run);
        if (result.ok) {
          mine.add(result.after.id);
          cache.set(key, result.after.id);
        } else if (!("unavailable" in result.atFailure)) mine.add(result.atFailure.id);
        return result;
      },
      async *read(at, path, { signal }) {
        const state = usable(at);
        await begin({ method: "read" }, signal);
        const found = subtree(latest(state), path);
        if (found.length === 0)
          throw new MelangeError("not-found", `nothing is at ${path}`, { hint: "List the folder above it." });
        yield* writeTar(found);
      },
      async search(snapshots, needles, { signal }) {
        const searched = snapshots.map(usable);
        await begin({ method: "search" }, signal);
        return searchStates(searched, needles);
      },
      image(at, spec) {
        const state = usable(at);
        const image = layeredImage({ spec, base: state.environment.layers, steps: layersOf(state) });
        return {
          ...image,
          async deliver(target, delivering) {
            await begin({ method: "deliver" }, delivering.signal);
            return image.deliver(target, delivering);
          },
          async open(opening) {
            await begin({ method: "image.open" }, opening.signal);
            return image.open(opening);
          },
        };
      },
      async keep(at, { signal }) {
        const state = usable(at);
        await begin({ method: "keep" }, signal);
        kept.add(state.id);
        return { engine: "scripted", state: state.id };
      },
      async find(ref, { signal }) {
        await begin({ method: "find" }, signal);
        const state = typeof ref.state === "string" && kept.has(ref.state) ? states.get(ref.state) : undefined;
        return state && hand(state);
      },
      async drop(ref, { signal }) {
        await begin({ method: "drop" }, signal);
        if (typeof ref.state === "string") kept.delete(ref.state);
      },
      async keptBytes(refs, { signal }) {
        refuseAborted(signal);
        const found = refs.flatMap(({ state }) =>
          typeof state === "string" && kept.has(state) ? (states.get(state) ?? []) : [],
        );
        const entries = found.flatMap((state) => [...latest(state).values()]);
        return entries.reduce((sum, entry) => sum + entry.body.length, 0);
      },
      async [Symbol.asyncDispose]() {
        disposed = true;
      },
    };
  }

  return {
    name: "scripted",
    executed,
    calls,
    files: (at) => workingTree(latest(lookUp(at))),
    loseStates() {
      for (const [id, state] of states) if (state.trees.length > 0) states.delete(id);
    },
    async check({ signal }) {
      refuseAborted(signal);
      await enter({ method: "check" });
      return options.findings ?? [];
    },
    async open(session) {
      refuseAborted(session.signal);
      await enter({ method: "open" });
      return openSession(session);
    },
  };
}

async function ended(script: StepScript | number | undefined, tree: WorkingTree, run: StepRun): Promise<Exit> {
  if (typeof script !== "function") return { code: script ?? 0, reason: "exit" };
  const interrupted = Promise.withResolvers<Exit>();
  const stop = () => interrupted.resolve({ code: 130, reason: "interrupted" });
  run.signal.addEventListener("abort", stop);
  try {
    const outcome = await Promise.race([interrupted.promise, script(tree, run)]);
    if (run.signal.aborted) return { code: 130, reason: "interrupted" };
    return typeof outcome === "object" ? outcome : { code: outcome ?? 0, reason: "exit" };
  } finally {
    run.signal.removeEventListener("abort", stop);
  }
}

function latest(state: State): Tree {
  return state.trees.at(-1) ?? state.base;
}

function layersOf(state: State): readonly Layer[] {
  return state.trees.map((tree, index) => layerFromEntries(layerEntries(state.trees[index - 1] ?? state.base, tree)));
}

function searchStates(states: readonly State[], needles: SecretSource): SearchResult {
  const matcher = matcherOf(needles);
  const hits = new Set<string>();
  const compressed = new Set<string>();
  for (const tree of states.flatMap((state) => [state.base, ...state.trees]))
    for (const [path, { body }] of tree) {
      if (holdsSecret(matcher, body)) hits.add(`/${textOf(path)}`);
      if (isCompressed(body)) compressed.add(path);
    }
  return { paths: [...hits].sort(), compressed: compressed.size };
}

function snapshotOf(state: State): Snapshot {
  return { id: state.id };
}

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new MelangeError("interrupted", "interrupted", { hint: "Start it again." });
}

function broken(message: string): MelangeError {
  return new MelangeError("engine", message, {
    hint: "Use a session only while it lives, and only its own snapshots.",
  });
}
