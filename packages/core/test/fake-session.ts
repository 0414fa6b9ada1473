import {
  type DebugImage,
  type EngineSession,
  type Exit,
  type ImageSpec,
  MelangeError,
  type RunOptions,
  type RunResult,
  type SecretSource,
  type Snapshot,
  type Unit,
} from "../src/index.ts";

export interface FakeSession extends EngineSession {
  /** What was done with it, in order. */
  readonly calls: readonly string[];
}

export interface FakeOptions {
  /** Decides how a unit ends; without it every unit succeeds. */
  readonly run?: (unit: Unit, options: RunOptions) => RunResult | Promise<RunResult> | undefined;
  /** Paths that a search finds. */
  readonly found?: readonly string[];
  readonly compressed?: number;
}

/** A session whose snapshots are the list of the units that made them. */
export function fakeSession({ run, found = [], compressed = 0 }: FakeOptions = {}): FakeSession {
  const calls: string[] = [];
  const absent = async (): Promise<never> => {
    throw new MelangeError("engine", "this session has no such method", { hint: "It is a fake." });
  };
  return {
    calls,
    can: { atFailure: true, mtime: "ns", claims: ["archive"] },
    async load() {
      calls.push("load");
      return { id: `base-${calls.filter((call) => call === "load").length}` };
    },
    async run(unit, from, options) {
      calls.push(`run ${unit.id} from ${from.id}${options.fresh === undefined ? "" : ` fresh ${options.fresh}`}`);
      return (await run?.(unit, options)) ?? { ok: true, after: { id: `${from.id}>${unit.id}` }, cached: false };
    },
    async search(states, _needles: SecretSource) {
      calls.push(`search ${states.map((state) => state.id)}`);
      return { paths: found, compressed };
    },
    image(at: Snapshot, spec: ImageSpec): DebugImage {
      calls.push(`image ${at.id}`);
      return { spec, deliver: absent, open: absent };
    },
    // biome-ignore lint/correctness/useYield: nothing is there to be read
    read: async function* () {
      await absent();
    },
    keep: absent,
    find: absent,
    drop: absent,
    keptBytes: async () => 0,
    async [Symbol.asyncDispose]() {},
  };
}

export function failure(step: number, code = 2, reason: Exit["reason"] = "exit"): RunResult {
  return { ok: false, step, exit: { code, reason }, atFailure: { id: "at-failure" } };
}

const encoder = new TextEncoder();

/** Writes a text as a step's output, in chunks of so many bytes. */
export function write(options: RunOptions, step: number, text: string, size = Number.POSITIVE_INFINITY): void {
  const data = encoder.encode(text);
  for (let at = 0; at < data.length; at += size) {
    options.onOutput({ step, stream: "stdout", data: data.subarray(at, Math.min(data.length, at + size)) });
  }
}

export function secrets(values: Readonly<Record<string, string>>): SecretSource {
  return { names: Object.keys(values), get: (name) => values[name] };
}
