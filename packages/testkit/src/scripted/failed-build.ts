import {
  type Capture,
  type CaptureStrategy,
  type FailedBuild,
  noSecrets,
  type Snapshot,
  type Unit,
} from "@melange2/core";
import { layerFromEntries, tarHeader } from "@melange2/oci";
import { type ScriptedEngine, type ScriptedEngineOptions, type StepScript, scriptedEngine } from "./scripted-engine.ts";

export interface FailedScriptedBuild extends AsyncDisposable {
  readonly engine: ScriptedEngine;
  readonly failed: FailedBuild;
  /** IDs of the steps that the capture executed. */
  readonly executedAgain: readonly string[];
  capture(strategy: CaptureStrategy): Promise<Capture>;
  interrupt(): void;
}

/** Builds until `failing` fails. Each step writes a file of its name; the failing one leaves a part of it and removes `/etc/base`. */
export async function failedScriptedBuild(
  units: readonly Unit[],
  failing: string,
  options: ScriptedEngineOptions = {},
): Promise<FailedScriptedBuild> {
  const steps: Record<string, StepScript> = {};
  for (const { id } of units.flatMap((unit) => unit.steps))
    steps[id] = (tree) => {
      tree.write(`/home/build/${id}`, id === failing ? "partial" : "done");
      if (id !== failing) return 0;
      tree.remove("/etc/base");
      return 2;
    };
  const engine = scriptedEngine({ ...options, steps: { ...steps, ...options.steps } });
  const stop = new AbortController();
  const { signal } = stop;
  const session = await engine.open({ capture: true, secrets: noSecrets, network: false, signal });
  const body = new TextEncoder().encode("base");
  const header = tarHeader({ name: "etc/base", type: "file", size: body.length });
  const environment = {
    platform: { os: "linux", architecture: "amd64" },
    config: {},
    layers: [layerFromEntries([{ header, body }])],
  };
  const start = await session.load(environment, { signal });
  let before = start;
  for (const [index, unit] of units.entries()) {
    const result = await session.run(unit, before, { signal, onOutput: () => {} });
    if (result.ok) {
      before = result.after;
      continue;
    }
    const { step, atFailure } = result;
    const ran = engine.executed.length;
    const failed: FailedBuild = {
      id: "b-1",
      start,
      completed: units.slice(0, index),
      unit,
      step,
      before,
      atFailure,
    };
    const replay = {
      run: (again: Unit, from: Snapshot, { fresh }: { fresh?: string }) =>
        session.run(again, from, { signal, onOutput: () => {}, fresh }),
    };
    return {
      engine,
      failed,
      get executedAgain() {
        return engine.executed.slice(ran);
      },
      capture: (strategy) => strategy.capture(failed, { replay, signal }),
      interrupt: () => stop.abort(),
      [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
    };
  }
  throw new TypeError(`no step ${failing} failed`);
}

/** Path to text of every file of a scripted engine's state. */
export function contents(engine: ScriptedEngine, at: Snapshot): Readonly<Record<string, string>> {
  const tree = engine.files(at);
  const files = tree.list().map((path): readonly [string, string | undefined] => [path, tree.read(path)]);
  return Object.fromEntries(files.filter((file): file is [string, string] => file[1] !== undefined));
}
