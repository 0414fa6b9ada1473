import type { DebugImage, Delivered, ExportOptions, LocalImage } from "@melange2/core";
import { buildManifest, readyBlob, writeArchive } from "@melange2/oci";
import type { Daemon, DaemonFacts } from "./daemon.ts";
import { exportError } from "./daemon-error.ts";

/**
 * Brings an image into the daemon under `name` and tells the ID by which the daemon shows it. The engine does it itself where it
 * lives in this very daemon; else an image that is there gets only the name, and any other is sent as one uncompressed archive.
 */
export async function loadImage(
  image: DebugImage,
  name: string,
  daemon: Daemon,
  facts: DaemonFacts,
  { signal, onProgress }: ExportOptions,
): Promise<Delivered & { readonly note?: string }> {
  const older = await daemon.imageId(name, signal);
  const byEngine = await image.deliver(
    { kind: "docker-daemon", daemonId: facts.id, names: [name] },
    { signal, onProgress },
  );
  if (byEngine) return { ...byEngine, ...noteAbout(name, older, byEngine.imageId) };

  await using local = await image.open({ signal });
  const parts = await archiveParts(local, signal);
  const imageId = facts.store === "containerd" ? parts.manifest.digest : local.imageId;
  const delivered = { imageId, manifest: parts.manifest };
  if ((await daemon.imageId(imageId, signal)) !== undefined) {
    await daemon.tag(imageId, name, signal);
    return { ...delivered, bytes: 0, ...noteAbout(name, older, imageId) };
  }

  const { config, annotations, layers } = parts;
  const { bytes } = await daemon.load(
    (sink) => writeArchive(sink, { config, annotations, layers, names: [name], signal, onProgress }),
    signal,
  );
  const shown = await daemon.imageId(name, signal);
  if (shown !== imageId) {
    throw exportError(
      `the Docker daemon shows ${shown ?? "no image"} as ${name}, not ${imageId}`,
      "Another program may have used the name in the same moment: try again, or choose another --export-ref.",
    );
  }
  return { ...delivered, bytes, ...noteAbout(name, older, imageId) };
}

/** Everything of the archive but its names. Layers stay uncompressed: the daemon would only have to unpack them. */
async function archiveParts(local: LocalImage, signal: AbortSignal) {
  const layers = [];
  for (const layer of local.layers) {
    const blob = await readyBlob(layer, "none", signal);
    if (!blob) throw new TypeError("an uncompressed layer takes no preparing");
    layers.push(blob);
  }
  const { config, annotations } = local;
  const manifest = buildManifest({
    config,
    annotations,
    layers: layers.map(({ descriptor }) => descriptor),
  }).descriptor;
  return { config, annotations, layers, manifest };
}

function noteAbout(name: string, older: string | undefined, imageId: string): { readonly note?: string } {
  if (older === undefined || older === imageId) return {};
  return { note: `The image that was ${name} before is still there as ${older}.` };
}
