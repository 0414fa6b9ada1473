import { open } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Bytes, Layer } from "@melange2/core";
import { compressionOf, decompress, layerMediaType, readTar, verified, writeTar } from "@melange2/oci";
import type { Host } from "./host.ts";
import { startJob } from "./jobs.ts";
import type { LayerMeta } from "./layer-store.ts";
import { type OverlayMarks, toOverlayForm } from "./overlay-form.ts";

/**
 * Fills a draft with a base's layer, read once: its files in overlay's form, and `original`, the bytes it came as. Rejects
 * when its digest is not what the environment says.
 */
export async function unpackLayer(host: Host, layer: Layer, draft: string, signal: AbortSignal): Promise<LayerMeta> {
  const original = await open(join(draft, "original"), "wx", 0o600);
  let size = 0;
  let tarSize = 0;
  const what = `layer ${layer.diffId}`;
  // A compression that no image may hold is undone by whoever made the layer.
  const blob = layer.blob !== undefined && compressionOf(layer.blob.mediaType) !== undefined ? layer.blob : undefined;
  const stored = blob === undefined ? layer.open("tar") : verified(layer.open("blob"), blob, what);
  const copied = async function* (): Bytes {
    for await (const chunk of stored) {
      await original.appendFile(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  const plain = async function* (): Bytes {
    const bytes = blob === undefined ? copied() : decompress(copied());
    for await (const chunk of verified(bytes, { digest: layer.diffId }, what)) {
      tarSize += chunk.length;
      yield chunk;
    }
  };
  try {
    await extract(host, plain(), join(draft, "fs"), signal);
  } finally {
    await original.close();
  }
  const descriptor = blob ?? { mediaType: layerMediaType("none"), digest: layer.diffId, size };
  return { parents: [], base: { diffId: layer.diffId, original: descriptor, tarSize } };
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
