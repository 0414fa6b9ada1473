import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Digest,
  type Environment,
  type ExportRecord,
  type FailureRecord,
  MelangeError,
  type Plan,
  recordVersion,
  type StateRef,
} from "@melange2/core";

/** The states of a failed build that its engine keeps. */
export interface KeptStates {
  readonly engine: string;
  /** What the engine was told, by the names of its options, so that it is found again: no contents of files, no secrets. */
  readonly options?: Readonly<Record<string, string | readonly string[]>>;
  /** What the failed unit's environment was loaded as. */
  readonly start: StateRef;
  readonly before: StateRef;
  readonly atFailure: StateRef | { readonly unavailable: string };
  /** How many steps ran again, after the build, to have these states. */
  readonly reexecuted?: number;
  /** Of that environment, for the image's config and for making the states again. */
  readonly environment: KeptEnvironment;
}

export interface KeptEnvironment extends Pick<Environment, "platform" | "config"> {
  /** What the base was given as: an absolute path, or an image in a registry. */
  readonly base: string;
  /** Of its layers, bottom first: the base's, then what composing added. */
  readonly diffIds: readonly Digest[];
}

/** A failed build as it is kept on disk: everything that showing, entering and exporting it later needs, but the states themselves. */
export interface KeptFailure {
  readonly record: FailureRecord;
  readonly plan: Plan;
  readonly states: KeptStates;
}

/** {@link KeptFailure} as read back. */
export interface StoredFailure extends KeptFailure {
  readonly id: string;
  readonly exports: readonly ExportRecord[];
  /** The kept output of a step: text without secrets. Empty where the step wrote nothing or did not run. */
  log(step: string): Promise<Uint8Array>;
}

/** A kept build that this version cannot read. */
export interface UnreadableFailure {
  readonly id: string;
  /** In a few words, without a full stop. */
  readonly why: string;
}

export interface FailureStore {
  /** All or nothing; `logs` by step id. */
  save(failure: KeptFailure, logs: ReadonlyMap<string, Uint8Array>): Promise<void>;
  /** The last to end first, whenever they began. A folder that cannot be read is left out and named in `unreadable`. */
  list(): Promise<{ readonly failures: readonly StoredFailure[]; readonly unreadable: readonly UnreadableFailure[] }>;
  /** By id or an unambiguous beginning of it; undefined: the last to end. Rejects with code `not-found` or `usage`. */
  read(id: string | undefined): Promise<StoredFailure>;
  /** Where running it again has given it other states. */
  replaceStates(id: string, states: KeptStates): Promise<void>;
  addExport(id: string, exported: ExportRecord): Promise<void>;
  /** The states that all builds keep, also those that cannot be read otherwise; undefined where some cannot be told. */
  allStates(): Promise<readonly StateRef[] | undefined>;
  /** Forgets the record, the log and the references; the engine's states are dropped by the caller first. */
  remove(id: string): Promise<void>;
}

const stepFile = /^[A-Za-z0-9._+-]+$/;

/** Failed builds in `directory` (absolute, created 0700 on the first save), one folder each, named by the build's id. */
export function failureStore(directory: string): FailureStore {
  const folder = (id: string) => join(directory, id);

  async function ids(): Promise<readonly string[]> {
    const names = await readdir(directory).catch(emptyWhereMissing);
    return names
      .filter((name) => /^\d{8}-\d{6}-[0-9a-f]+$/.test(name))
      .sort()
      .reverse();
  }

  async function load(id: string): Promise<StoredFailure | UnreadableFailure> {
    const files = await Promise.all([
      readJson<FailureRecord>(join(folder(id), "record.json")),
      readJson<Plan>(join(folder(id), "plan.json")),
      readJson<KeptStates>(join(folder(id), "states.json")),
    ]).catch(() => undefined);
    if (files === undefined) return { id, why: "its files are incomplete" };
    const [record, plan, states] = files;
    const strange = strangeness(record);
    if (strange !== undefined) return { id, why: strange };
    const exports = await readExports(join(folder(id), "exports.jsonl"));
    return {
      id,
      record,
      plan,
      states,
      exports,
      log: async (step) => {
        if (!stepFile.test(step)) throw new TypeError(`not a step id: ${step}`);
        return readFile(join(folder(id), "logs", step)).catch((error: NodeJS.ErrnoException) => {
          if (error.code === "ENOENT") return Buffer.alloc(0);
          throw error;
        });
      },
    };
  }

  async function save(failure: KeptFailure, logs: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const { id } = failure.record.build;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const temporary = join(directory, `.new-${id}-${randomBytes(4).toString("hex")}`);
    try {
      await mkdir(join(temporary, "logs"), { recursive: true, mode: 0o700 });
      await writeJson(join(temporary, "record.json"), failure.record);
      await writeJson(join(temporary, "plan.json"), failure.plan);
      await writeJson(join(temporary, "states.json"), failure.states);
      for (const [step, bytes] of logs) await writeFile(join(temporary, "logs", step), bytes, { mode: 0o600 });
      await rename(temporary, folder(id));
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
  }

  async function list() {
    const failures: StoredFailure[] = [];
    const broken: UnreadableFailure[] = [];
    for (const id of await ids()) {
      const loaded = await load(id);
      if ("why" in loaded) broken.push(loaded);
      else failures.push(loaded);
    }
    // Those that ended in the same millisecond stay in the order of their ids.
    failures.sort((a, b) => Date.parse(b.record.build.ended) - Date.parse(a.record.build.ended));
    return { failures, unreadable: broken };
  }

  async function latest(): Promise<readonly string[]> {
    const { failures, unreadable: broken } = await list();
    return [...failures, ...broken].map(({ id }) => id).slice(0, 1);
  }

  return {
    save,
    list,
    async read(wanted) {
      const all = await ids();
      const matching = wanted === undefined ? await latest() : all.filter((id) => id.startsWith(wanted));
      const [id, second] = matching;
      if (id === undefined) throw notFound(wanted, await latest());
      if (second !== undefined) {
        throw new MelangeError("usage", `"${wanted}" begins the ids of ${matching.length} builds`, {
          hint: `Say more of it: ${matching.slice(0, 5).join(", ")}`,
        });
      }
      const loaded = await load(id);
      if ("why" in loaded) throw unreadable(loaded);
      return loaded;
    },
    async replaceStates(id, states) {
      const temporary = join(folder(id), `.states-${randomBytes(4).toString("hex")}`);
      await writeJson(temporary, states);
      await rename(temporary, join(folder(id), "states.json"));
    },
    async addExport(id, exported) {
      const file = await open(join(folder(id), "exports.jsonl"), "a", 0o600);
      try {
        await file.appendFile(`${JSON.stringify(exported)}\n`);
      } finally {
        await file.close();
      }
    },
    async allStates() {
      const refs: StateRef[] = [];
      for (const id of await ids()) {
        const states = await readJson<KeptStates>(join(folder(id), "states.json")).catch(() => undefined);
        if (states === undefined) return undefined;
        refs.push(states.start, states.before);
        if (!("unavailable" in states.atFailure)) refs.push(states.atFailure as StateRef);
      }
      return refs;
    },
    async remove(id) {
      await rm(folder(id), { recursive: true, force: true });
    },
  };
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, "utf8")) as T;
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
}

async function readExports(path: string): Promise<readonly ExportRecord[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as ExportRecord);
}

function emptyWhereMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw error;
}

function notFound(wanted: string | undefined, [latest]: readonly string[]): MelangeError {
  if (wanted === undefined || latest === undefined) {
    return new MelangeError("not-found", "no failed build is kept here", {
      hint: "A build that fails is kept by itself; melange2 build RECIPE",
    });
  }
  return new MelangeError("not-found", `no kept build has the id "${wanted}"`, {
    hint: `melange2 debug ls lists them; the latest is ${latest}.`,
  });
}

/** Why a record is none that this version reads; undefined: it is one. */
function strangeness({ format, version }: FailureRecord): string | undefined {
  if (format !== "melange2-failure-record") return "its record is no failure record";
  if (version === recordVersion) return undefined;
  return `another version of melange2 kept it, with a record of version ${version}`;
}

function unreadable({ id, why }: UnreadableFailure): MelangeError {
  return new MelangeError("not-found", `build ${id} cannot be read: ${why}`, {
    hint: `Remove it: melange2 debug prune ${id}`,
  });
}
