import { link, open } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Bytes, Layer } from "@melange2/core";
import { compressionOf, decompress, layerMediaType, readFileBytes, readTar, verified, writeTar } from "@melange2/oci";
import type { Host } from "./host.ts";
import { startJob } from "./jobs.ts";
import type { LayerMeta } from "./layer-store.ts";
import { type OverlayMarks, toOverlayForm } from "./overlay-form.ts";

/**
 * Fills a draft with a base's layer, read once: its files in overlay's form, and `original`, the bytes it came as. Rejects
 * when its digest is not what the environment says.
 */
export async function unpackLayer(host: Host, layer: Layer, draft: string, signal: AbortSignal): Promise<LayerMeta> {
  const what = `layer ${layer.diffId}`;
  // A compression that no image may hold is undone by whoever made the layer.
  const blob = layer.blob !== undefined && compressionOf(layer.blob.mediaType) !== undefined ? layer.blob : undefined;
  const original = keptAt(join(draft, "original"), layer, blob === undefined ? "tar" : "blob");
  let tarSize = 0;
  const plain = async function* (): Bytes {
    const bytes = blob === undefined ? original : decompress(verified(original, blob, what));
    for await (const chunk of verified(bytes, { digest: layer.diffId }, what)) {
      tarSize += chunk.length;
      yield chunk;
    }
  };
  await extract(host, plain(), join(draft, "fs"), signal);
  const descriptor = blob ?? { mediaType: layerMediaType("none"), digest: layer.diffId, size: tarSize };
  return { parents: [], base: { diffId: layer.diffId, original: descriptor, tarSize } };
}

/** Reads a layer's bytes and keeps them at `path`: as another name of the file that they lie in, where that can be, else as a copy. */
async function* keptAt(path: string, layer: Layer, as: "tar" | "blob"): Bytes {
  const file = layer.file?.(as);
  if (file !== undefined && (await linked(file, path))) {
    yield* readFileBytes(path);
    return;
  }
  const copy = await open(path, "wx", 0o600);
  try {
    for await (const chunk of layer.open(as)) {
      await copy.appendFile(chunk);
      yield chunk;
    }
  } finally {
    await copy.close();
  }
}

async function linked(file: string, path: string): Promise<boolean> {
  try {
    await link(file, path);
    return true;
  } catch {
    // Another file system, one without links, or a file that is gone.
    return false;
  }
}

async function extract(host: Host, tar: Bytes, into: string, signal: AbortSignal): Promise<void> {
  const entries = toOverlayForm(readTar(tar, { end: "optional" }), marksOf(host));
  await extractTar(host, writeTar(entries), into, signal);
}

/** Unpacks a tar with everything it says, as root of the sandboxes. */
export async function extractTar(host: Host, tar: Bytes, into: string, signal: AbortSignal): Promise<void> {
  const job = startJob(
    host,
    [
      host.tool("tar"),
      `--directory=${into}`,
      "--extract",
      "--file=-",
      "--blocking-factor=2048",
      "--preserve-permissions",
      "--numeric-owner",
      host.mapping === "single" ? "--no-same-owner" : "--same-owner",
      "--xattrs",
      "--xattrs-include=*",
      "--delay-directory-restore",
      "--warning=no-timestamp",
    ],
    { doing: "unpacking a layer", signal },
  );
  job.stdout.resume();
  const fed = pipeline(Readable.from(tar, { objectMode: false }), job.stdin).then(
    () => undefined,
    (error: unknown) => error,
  );
  const [feeding, extracting] = [
    await fed,
    await job.finished.then(
      () => undefined,
      (error: unknown) => error,
    ),
  ];
  // When tar gave up, feeding it failed too, and less clearly.
  const brokenPipe = ["EPIPE", "ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"].includes(
    (feeding as NodeJS.ErrnoException | undefined)?.code ?? "",
  );
  if (feeding !== undefined && !brokenPipe) throw feeding;
  if (extracting !== undefined) throw extracting;
  if (feeding !== undefined) throw feeding;
}

function marksOf(host: Host): OverlayMarks {
  return {
    opaque: host.userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque",
    // Sandboxes have a /dev of their own, so a base works without its device nodes.
    possible: ({ type }) => !host.userxattr || (type !== "character" && type !== "block"),
    settable: (name) => !host.userxattr || name === "security.capability" || name.startsWith("user."),
  };
}
