import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Descriptor, Digest } from "@melange2/core";
import type { StateDirectory } from "./state-directory.ts";

/** What is said about a layer, beside its files. */
export interface LayerMeta {
  /** The layers it stands on, bottom first: a step's layer, or all of a base. Empty for a base's layers, which may stand on anything. */
  readonly parents: readonly string[];
  /** Of a base's layer: its digest, and the form in which `original` holds it. */
  readonly base?: { readonly diffId: Digest; readonly original: Descriptor; readonly tarSize: number };
}

/** Immutable layers by id. Whatever is under `layers/` is whole. Synchronous: a handful of calls on one directory a step. */
export interface LayerStore {
  has(id: string): boolean;
  /** Whether it is there; notes that it was used. */
  touch(id: string): boolean;
  meta(id: string): LayerMeta;
  /** Where a layer's files are. */
  files(id: string): string;
  original(id: string): string;
  /** Makes a layer of a directory that holds `fs` (and `original`); the directory is gone from its place then. False: it was there already. */
  commit(id: string, draft: string, meta: LayerMeta): boolean;
  /** What was committed here since the store was opened. */
  made(): readonly string[];
  /** The layer a step made once, or undefined. Notes that it was used. */
  cached(key: string): string | undefined;
  /** Remembers which layer a step made; when another build was first, tells that one's layer. */
  remember(key: string, id: string): string;
}

export function newLayerId(): string {
  return randomBytes(10).toString("hex");
}

export function baseLayerId(diffId: Digest): string {
  return `base-${diffId.slice("sha256:".length)}`;
}

export function layerStore(state: StateDirectory): LayerStore {
  const path = (id: string, ...rest: string[]) => join(state.layers, id, ...rest);

  // The time of last use is the description's mtime.
  const touch = (id: string): boolean => {
    if (!existsSync(path(id))) return false;
    const now = new Date();
    utimesSync(path(id, "meta.json"), now, now);
    return true;
  };
  const made: string[] = [];
  const cached = (key: string): string | undefined => {
    const id = linkText(join(state.cache, key));
    return id !== undefined && touch(id) ? id : undefined;
  };

  return {
    has: (id) => existsSync(path(id)),
    touch,
    meta: (id) => JSON.parse(readFileSync(path(id, "meta.json"), "utf8")) as LayerMeta,
    files: (id) => path(id, "fs"),
    original: (id) => path(id, "original"),
    commit(id, draft, meta) {
      writeFileSync(join(draft, "meta.json"), JSON.stringify(meta), { mode: 0o600 });
      const first = renamed(draft, path(id));
      if (first) made.push(id);
      return first;
    },
    made: () => made,
    cached,
    remember(key, id) {
      if (linked(id, join(state.cache, key))) return id;
      const first = cached(key);
      if (first !== undefined) return first;
      // It points at a layer that is gone: put ours in its place.
      const fresh = join(state.cache, `new-${newLayerId()}`);
      symlinkSync(id, fresh);
      renameSync(fresh, join(state.cache, key));
      return id;
    },
  };
}

/** An empty directory for a layer to grow in, on the file system of the layers. */
export function newDraft(folder: string): string {
  const draft = join(folder, `draft-${newLayerId()}`);
  mkdirSync(draft, { mode: 0o700 });
  mkdirSync(join(draft, "fs"), { mode: 0o755 });
  return draft;
}

function linkText(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function linked(text: string, path: string): boolean {
  try {
    symlinkSync(text, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}
