import { createHash } from "node:crypto";
import type { Environment } from "@melange2/core";
import {
  type ByteString,
  collect,
  type LayerTree,
  readLayers,
  type TarHeader,
  type TreeItem,
  tarHeader,
  treeOf,
} from "@melange2/oci";
import type { LayerCache } from "./cache.ts";
import { databasePaths, type Installed, installedFrom } from "./installed-packages.ts";

/** What composing needs to know of a base. */
export interface BaseFacts {
  /** Directories and symlinks, and the account files with their text; nothing else. */
  readonly tree: LayerTree<string>;
  readonly installed: Installed;
  /** apk's own files, where the base has a database of apk's. */
  readonly apk: ApkFiles | undefined;
}

export interface ApkFiles {
  /** Where the database is, relative to the root: `lib/apk/db` or `usr/lib/apk/db`. */
  readonly folder: ByteString;
  readonly installed: string;
  readonly triggers: string;
  readonly world: string;
}

const apkPaths = /^(?:etc\/apk\/world|(?:usr\/)?lib\/apk\/db\/triggers)$/;

export const accountPaths = ["etc/passwd", "etc/group", "etc/shadow"] as const;

/** Reads every layer once and remembers the outcome by the layers' digests. */
export async function baseFacts(base: Environment, cache: LayerCache, signal: AbortSignal): Promise<BaseFacts> {
  const key = createHash("sha256")
    .update(["base facts 2", ...base.layers.map((layer) => layer.diffId)].join("\n"))
    .digest("hex");
  const known = await cache.note(key, readStored);
  if (known) return { tree: treeOf(known.items), installed: known.installed, apk: known.apk };
  const found = await readLayers(
    base.layers,
    async (path, _header, body) => {
      const wanted = accountPaths.some((one) => one === path) || databasePaths.test(path) || apkPaths.test(path);
      return wanted ? Buffer.from(await collect(body, textLimit, path)).toString("latin1") : undefined;
    },
    signal,
  );
  const databases = new Map<string, string>();
  const apkFiles = new Map<string, string>();
  const items: (readonly [ByteString, TreeItem<string>])[] = [];
  for (const [path, item] of found.items()) {
    if (item.file !== undefined && databasePaths.test(path)) databases.set(path, item.file);
    if (item.file !== undefined && (databasePaths.test(path) || apkPaths.test(path))) apkFiles.set(path, item.file);
    const account = accountPaths.some((one) => one === path);
    if (account || item.header.type === "directory" || item.header.type === "symlink")
      items.push([path, { header: item.header, file: account ? item.file : undefined }]);
  }
  const installed = installedFrom(databases);
  const apk = apkFilesIn(apkFiles);
  await cache.writeNote(key, { items: items.map(([path, item]) => stored(path, item)), installed, apk });
  return { tree: treeOf(items), installed, apk };
}

function apkFilesIn(files: ReadonlyMap<string, string>): ApkFiles | undefined {
  const folder = ["lib/apk/db", "usr/lib/apk/db"].find((each) => files.has(`${each}/installed`));
  if (folder === undefined) return undefined;
  const text = (path: string) => Buffer.from(files.get(path) ?? "", "latin1").toString("utf8");
  return {
    folder,
    installed: text(`${folder}/installed`),
    triggers: text(`${folder}/triggers`),
    world: text("etc/apk/world"),
  };
}

/** A package database has some megabytes. */
const textLimit = 128 << 20;

interface Stored {
  readonly items: readonly StoredItem[];
  readonly installed: Installed;
  readonly apk?: ApkFiles;
}

type StoredItem = readonly [
  path: string,
  type: TarHeader["type"],
  mode: number,
  uid: number,
  gid: number,
  mtime: string,
  linkname: string,
  xattrs: readonly (readonly [string, string])[],
  file: string | null,
];

function stored(path: ByteString, { header, file }: TreeItem<string>): StoredItem {
  const { type, mode, uid, gid, mtime, linkname } = header;
  const xattrs = [...header.xattrs].map(([name, value]) => [name, Buffer.from(value).toString("base64")] as const);
  return [path, type, mode, uid, gid, String(mtime), linkname, xattrs, file ?? null];
}

function readStored(json: unknown) {
  const { items, installed, apk } = json as Stored;
  return {
    apk,
    installed: { database: installed.database, packages: [...installed.packages] },
    items: items.map(([path, type, mode, uid, gid, mtime, linkname, xattrs, file]) => {
      const attributes = new Map(xattrs.map(([name, value]) => [name, Uint8Array.from(Buffer.from(value, "base64"))]));
      const header = tarHeader({
        name: path || ".",
        type,
        mode,
        uid,
        gid,
        mtime: BigInt(mtime),
        linkname,
        xattrs: attributes,
      });
      return [path, { header, file: file ?? undefined }] as const;
    }),
  };
}
