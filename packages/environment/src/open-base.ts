import { rm } from "node:fs/promises";
import { type Environment, type ImageConfig, MelangeError, type Platform } from "@melange2/core";
import {
  abortable,
  type Bytes,
  counted,
  type Digest,
  type ImageConfig as FullConfig,
  formatPlatform,
  type Image,
  type ImageChoice,
  type ImageForm,
  type Layer,
  openImage,
  parseDigest,
  parsePlatform,
  platformMatches,
  textOf,
  writeFileAtomically,
} from "@melange2/oci";
import { type BaseForm, formOf, isCompressed, notABase, plainTar } from "./base-form.ts";
import { type LayerCache, openCache } from "./cache.ts";
import { childOutput } from "./child-output.ts";
import { directoryFingerprint, type Fingerprint, fileFingerprint } from "./fingerprint.ts";
import { translated } from "./oci-error.ts";
import { ownerView } from "./owner-view.ts";
import type { OnProgress } from "./progress.ts";
import { nothingSeen, rootfsLayer, type Seen } from "./rootfs-layer.ts";

export interface OpenBaseOptions {
  /** What the environment must be for. */
  readonly platform: Platform;
  /** Where imported layers are kept, by content; shared by all builds, made where it is missing. */
  readonly cacheDirectory: string;
  /** Which image, where an archive or layout holds several: `name:tag`. */
  readonly imageName?: string;
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface Base {
  readonly environment: Environment;
  readonly form: "directory" | "rootfs-tar" | ImageForm;
}

/**
 * Opens a base as layers: a directory, a root filesystem's tar (plain, gzip, xz, zstd), an OCI layout directory, an OCI archive or a docker archive,
 * told apart by content. The layers lie in the cache directory: the base itself is never used live and may change or go afterwards. What was
 * imported before is found again by inode, size and times, so that a second build reads nothing; a directory costs a walk.
 * Rejects with `environment`: not a base, damaged, dangerous names, another platform; with the signal's reason when aborted.
 */
export async function openBase(path: string, options: OpenBaseOptions): Promise<Base> {
  const cache = await openCache(options.cacheDirectory);
  const form = await translated(`the base ${path} cannot be read`, () => formOf(path));
  const base = await translated(`the base ${path} cannot be used`, () => importers[form](path, cache, options));
  if (!platformMatches(base.environment.platform, options.platform)) throw otherPlatform(path, base, options.platform);
  return base;
}

type Importer = (path: string, cache: LayerCache, options: OpenBaseOptions) => Promise<Base>;

const importers: Readonly<Record<BaseForm, Importer>> = {
  directory: importDirectory,
  "rootfs-tar": importTar,
  "oci-layout": importImage,
  "image-archive": importArchive,
};

async function importDirectory(path: string, cache: LayerCache, options: OpenBaseOptions): Promise<Base> {
  const view = await ownerView(path);
  const reader = `${process.getuid?.()} ${view.prefix.join(" ")}`;
  const fingerprint = await directoryFingerprint(path, reader, view.prefix, options.signal);
  const tar = childOutput({
    argv: [...view.prefix, ...tarCommand, "-C", path, "-cf", "-", "."],
    what: `reading ${path}`,
    missing: "Install GNU tar, or give the base as a tar.",
  });
  return remembered(cache, fingerprint, options, () =>
    importRootfs("directory", path, watched(tar, path, fingerprint.bytes, options), cache, options, view.owner),
  );
}

// Everything that a layer can say, in an order that depends on nothing but names.
const tarCommand = [
  "tar",
  "--format=posix",
  "--pax-option=delete=atime,delete=ctime",
  "--xattrs",
  "--xattrs-include=*",
  "--numeric-owner",
  "--sort=name",
  "--one-file-system",
  "-b",
  "2048",
];

async function importTar(path: string, cache: LayerCache, options: OpenBaseOptions): Promise<Base> {
  const fingerprint = await fileFingerprint(path, "");
  return remembered(cache, fingerprint, options, () =>
    importRootfs("rootfs-tar", path, watched(plainTar(path), path, undefined, options), cache, options),
  );
}

async function importRootfs(
  form: Base["form"],
  path: string,
  tar: Bytes,
  cache: LayerCache,
  options: OpenBaseOptions,
  owner?: (id: number) => number,
): Promise<Base> {
  const seen = nothingSeen();
  async function* accepted(): Bytes {
    yield* rootfsLayer(tar, seen, owner);
    refuseForeignTree(path, seen); // before the cache takes it
  }
  const layer = await cache.keepTar(accepted());
  // A tree without a single program says nothing about its platform: taken at the user's word.
  const platform = seen.architecture ? { os: "linux", architecture: seen.architecture } : options.platform;
  return { form, environment: { platform, config: {}, layers: [layer] } };
}

function refuseForeignTree(path: string, { entries, top }: Seen): void {
  if (["bin", "usr", "etc", "lib", "sbin"].some((name) => top.has(name))) return;
  const names = [...top].slice(0, 5).map(textOf).join(", ");
  throw notABase(
    path,
    entries <= 1 ? "empty" : `no root filesystem: at its top are ${names}, but neither bin, usr nor etc`,
  );
}

async function importArchive(path: string, cache: LayerCache, options: OpenBaseOptions): Promise<Base> {
  const { platform, imageName } = options;
  const fingerprint = await fileFingerprint(path, JSON.stringify([platform, imageName]));
  return remembered(cache, fingerprint, options, async () => {
    // A compressed archive has no random access: unpacked for as long as it is imported.
    if (!(await isCompressed(path))) return importImage(path, cache, options);
    const unpacked = cache.temporary();
    try {
      await writeFileAtomically(unpacked, watched(plainTar(path), path, undefined, options));
      return await importImage(unpacked, cache, options);
    } finally {
      await rm(unpacked, { force: true });
    }
  });
}

async function importImage(path: string, cache: LayerCache, options: OpenBaseOptions): Promise<Base> {
  const choice: ImageChoice = { platform: options.platform, ...(options.imageName ? { name: options.imageName } : {}) };
  const image = await openImage(path, choice);
  return { form: image.form, environment: await cached(image, path, cache, options) };
}

async function cached(image: Image, path: string, cache: LayerCache, options: OpenBaseOptions): Promise<Environment> {
  const total = image.layers.reduce<number | undefined>((sum, layer) => {
    const size = layer.blob?.size;
    return sum === undefined || size === undefined ? undefined : sum + size;
  }, 0);
  let before = 0;
  const layers: Layer[] = [];
  for (const layer of image.layers) {
    let read = 0;
    const kept = await cache.keep({ ...layer, open: (as) => abortable(layer.open(as), options.signal) }, (done) => {
      read = done;
      options.onProgress?.({ what: `importing ${path}`, done: before + done, total });
    });
    before += layer.blob?.size ?? read;
    layers.push(kept);
  }
  return { platform: image.file.platform, config: startConfig(image.file.config), layers };
}

/** What of a base's config a build goes on with. */
function startConfig(config: FullConfig): ImageConfig {
  const kept = ["User", "Env", "Cmd", "Entrypoint", "WorkingDir", "Labels"] as const;
  return Object.fromEntries(kept.filter((key) => config[key] !== undefined).map((key) => [key, config[key]]));
}

/** What was imported from the same source before, if all of it is still there; else imports it, and remembers that. */
async function remembered(
  cache: LayerCache,
  fingerprint: Fingerprint,
  options: OpenBaseOptions,
  run: () => Promise<Base>,
): Promise<Base> {
  const { key, settled } = fingerprint;
  const note = settled ? await cache.note(key, readNote) : undefined;
  const layers = note && (await Promise.all(note.diffIds.map((diffId) => cache.find(diffId))));
  if (note && layers?.every((layer) => layer !== undefined)) {
    const { form, platform, config } = note;
    return { form, environment: { platform, config, layers } };
  }
  options.signal.throwIfAborted();
  const base = await run();
  const { platform, config } = base.environment;
  const diffIds = base.environment.layers.map((layer) => layer.diffId);
  if (settled) await cache.writeNote(key, { form: base.form, platform, config, diffIds } satisfies Note);
  return base;
}

interface Note {
  readonly form: Base["form"];
  readonly platform: Platform;
  readonly config: ImageConfig;
  readonly diffIds: readonly Digest[];
}

function readNote(json: unknown): Note {
  const { form, platform, config, diffIds } = json as Note;
  return {
    form,
    platform: parsePlatform(platform, "platform"),
    config: { ...config },
    diffIds: diffIds.map((diffId) => parseDigest(diffId, "diff ID")),
  };
}

function watched(bytes: Bytes, path: string, total: number | undefined, options: OpenBaseOptions): Bytes {
  const what = `importing ${path}`;
  return counted(abortable(bytes, options.signal), (done) =>
    options.onProgress?.({ what, done, total: total === undefined ? undefined : Math.max(done, total) }),
  );
}

function otherPlatform(path: string, base: Base, wanted: Platform): MelangeError {
  const found = formatPlatform(base.environment.platform);
  return new MelangeError("environment", `the base ${path} is for ${found}, the build for ${formatPlatform(wanted)}`, {
    hint: "Give a base of the wanted architecture, or build for that of the base (--arch).",
  });
}
