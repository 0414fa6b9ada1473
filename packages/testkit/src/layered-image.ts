import {
  type DebugImage,
  type Delivered,
  type DeliverOptions,
  type ImageSpec,
  type Layer,
  MelangeError,
  type Target,
} from "@melange2/core";
import {
  type Blob,
  blobFromBytes,
  buildImageConfig,
  collect,
  compress,
  descriptorOf,
  layerFromEntries,
  layerMediaType,
  readyBlob,
  tarHeader,
  writeArchive,
} from "@melange2/oci";

/** Layers in memory, as an image. */
export interface LayeredImageParts {
  readonly spec: ImageSpec;
  readonly base: readonly Layer[];
  /** One for each unit that ran. */
  readonly steps: readonly Layer[];
}

type Archive = Extract<Target, { kind: "archive" }>;
const largestLayer = 1 << 30;

/** A debug image of layers in memory. Claims archives only, as little as an engine may. */
export function layeredImage(parts: LayeredImageParts): DebugImage {
  const composed = once(() => compose(parts));
  return {
    spec: parts.spec,
    async deliver(target, options) {
      refuseAborted(options.signal);
      if (target.kind !== "archive") return undefined;
      return deliverArchive(await composed(), target, options);
    },
    async open({ signal }) {
      refuseAborted(signal);
      const { config, imageId, layers } = await composed();
      return { config, imageId, layers, annotations: parts.spec.annotations, [Symbol.asyncDispose]: async () => {} };
    },
  };
}

async function compose({ spec, base, steps }: LayeredImageParts) {
  const layers = [...base, ...steps, await filesLayer(spec)];
  const lines = spec.history.length === steps.length ? spec.history : steps.map((_, index) => `unit ${index + 1}`);
  const { content, imageId } = buildImageConfig({
    platform: spec.platform,
    config: spec.config,
    labels: spec.labels,
    created: spec.created,
    diffIds: layers.map((layer) => layer.diffId),
    history: [...base.map(() => "base"), ...lines, "debug files"],
  });
  return { config: content, imageId, layers, annotations: spec.annotations };
}

async function filesLayer(spec: ImageSpec): Promise<Layer> {
  const mtime = BigInt(Date.parse(spec.created)) * 1_000_000n;
  const entries = spec.files.map(async ({ path, kind, mode, owner, size, open }) => ({
    header: tarHeader({ name: path, type: kind, mode, uid: owner.uid, gid: owner.gid, size, mtime }),
    body: await collect(open(), largestLayer, path),
  }));
  return layerFromEntries(await Promise.all(entries));
}

async function deliverArchive(
  { config, layers, annotations }: Awaited<ReturnType<typeof compose>>,
  { sink, names, compression }: Archive,
  { signal, onProgress }: DeliverOptions,
): Promise<Delivered> {
  const blobs: Blob[] = [];
  for (const layer of layers) {
    const ready = await readyBlob(layer, compression);
    if (ready) blobs.push(ready);
    else {
      const bytes = await collect(compress(layer.open("tar"), compression), largestLayer, layer.diffId);
      blobs.push(blobFromBytes(bytes, descriptorOf(bytes, layerMediaType(compression))));
    }
  }
  try {
    return await writeArchive(sink, { config, layers: blobs, annotations, names, signal, onProgress });
  } catch (error) {
    refuseAborted(signal);
    throw error;
  }
}

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new MelangeError("interrupted", "interrupted", { hint: "Start it again." });
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
