import type { Digest } from "./digest.ts";
import type { Image } from "./image.ts";
import { buildImageConfig, parseImageConfig } from "./image-config.ts";
import { type Layer, layerFromEntries } from "./layer.ts";
import type { Platform } from "./platform.ts";
import { type ByteString, byteString, type TarHeader, tarHeader } from "./tar-entry.ts";
import { whiteoutHeader } from "./whiteout.ts";

export interface RandomImageOptions {
  /** Default 3. */
  readonly layers?: number;
  /** Entries of each layer, about; default 20. */
  readonly entries?: number;
  /** Upper bound of a file's size in bytes; default 4096. */
  readonly fileSize?: number;
  /** Default linux/amd64. */
  readonly platform?: Platform;
}

/**
 * A valid image for tests, always the same for a seed: files, directories, symlinks, hard links, fifos, attributes, awkward names, owners and
 * times, and whiteouts of what lower layers hold. All in memory.
 */
export function randomImage(seed: number, options: RandomImageOptions = {}): Image {
  const random = generator(seed);
  const platform = options.platform ?? { os: "linux", architecture: "amd64" };
  const paths: string[] = [];
  const layers = Array.from({ length: options.layers ?? 3 }, (_, index) =>
    randomLayer(random, index, paths, options.entries ?? 20, options.fileSize ?? 4096),
  );
  const { content, imageId } = buildImageConfig({
    platform,
    config: { Env: ["PATH=/usr/bin:/bin", `SEED=${seed}`], WorkingDir: "/", Labels: { seed: String(seed) } },
    diffIds: layers.map((layer): Digest => layer.diffId),
    history: layers.map((_, index) => `random layer ${index}`),
    created: "2026-01-01T00:00:00Z",
  });
  return { imageId, config: content, file: parseImageConfig(content), layers, annotations: {} };
}

interface Random {
  /** 0 to limit - 1. */
  below(limit: number): number;
  bytes(length: number): Uint8Array;
}

/** `paths`: files of the layers below; those of this layer are added. */
function randomLayer(random: Random, index: number, paths: ByteString[], count: number, fileSize: number): Layer {
  const entries: { header: TarHeader; body?: Uint8Array }[] = [];
  const own: ByteString[] = [];
  const directory = `layer${index}`;
  entries.push({ header: tarHeader({ name: directory, type: "directory", mode: 0o755 }) });
  for (let at = 0; at < count; at++) {
    const name = `${directory}/${at}${byteString(awkward[random.below(awkward.length)] as string)}`;
    const common = {
      uid: [0, 0, 1000, 3_000_000][random.below(4)] as number,
      gid: [0, 1000][random.below(2)] as number,
      mtime: BigInt(random.below(2 ** 31)) * 1_000_000_000n + BigInt(random.below(2) * random.below(1_000_000_000)),
    };
    const target = own[random.below(Math.max(1, own.length))];
    const kind = random.below(10);
    if (kind === 0) entries.push({ header: tarHeader({ ...common, name, type: "directory", mode: 0o700 }) });
    else if (kind === 1)
      entries.push({ header: tarHeader({ ...common, name, type: "symlink", linkname: target ?? "nowhere" }) });
    else if (kind === 2 && target !== undefined)
      entries.push({ header: tarHeader({ name, type: "hardlink", linkname: target }) });
    else if (kind === 3) entries.push({ header: tarHeader({ ...common, name, type: "fifo" }) });
    else {
      const body = random.bytes(random.below(fileSize + 1));
      const xattrs = new Map(kind === 4 ? [["user.random", random.bytes(1 + random.below(40))]] : []);
      const mode = [0o644, 0o755, 0o600, 0o4755][random.below(4)] as number;
      entries.push({ header: tarHeader({ ...common, name, type: "file", size: body.length, mode, xattrs }), body });
      own.push(name);
    }
  }
  const hidden = paths.length > 0 ? paths.splice(random.below(paths.length), 1) : [];
  for (const path of hidden) entries.push({ header: whiteoutHeader({ kind: "hide", path }) });
  paths.push(...own);
  return layerFromEntries(entries);
}

const awkward = ["", ".txt", " with blanks", "-ünïcødé", "\nnewline", "=", `-${"long".repeat(40)}`, "%"];

/** mulberry32: small, and the same everywhere. */
function generator(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return { below, bytes: (length) => Uint8Array.from({ length }, () => below(256)) };
}
