import { createHash } from "node:crypto";
import {
  isWhole,
  layerEntries,
  listingEntries,
  openPackageFile,
  type PackageListing,
  type PackagePlan,
  type PackageSource,
} from "@melange2/apk";
import { type ByteString, type Digest, isDigest, type Layer, readTar, writeTar } from "@melange2/oci";
import type { LayerCache } from "./cache.ts";

/** A package's files as a layer, and what is known of the package. */
export interface PackageLayer {
  readonly layer: Layer;
  readonly listing: PackageListing;
  /** Paths of the folders that the layer states. */
  readonly folders: readonly ByteString[];
}

/** Changed with what a package's layer is made of, so that layers of before are made anew. */
const format = "apk layer 1";

/**
 * The layer of a package file, which the cache keeps by the package's checksum: another build that has the package reads nothing. With a plan that moves
 * files or leaves some out, the layer is one of its own. Rejects with an ApkError for a file that is not as it should be.
 */
export async function packageLayer(
  source: PackageSource,
  plan: PackagePlan,
  { cache, signal }: { readonly cache: LayerCache; readonly signal: AbortSignal },
): Promise<PackageLayer> {
  const key = keyOf(source.checksum, plan);
  const known = source.checksum === "" ? undefined : await cache.note(key, readNote);
  const kept = known && (await cache.find(known.diffId));
  if (known && kept) return { layer: kept, listing: known.listing, folders: known.folders };
  const file = await openPackageFile(source);
  const { entries, listing } = listingEntries(file, signal);
  const folders: ByteString[] = [];
  const layer = await cache.keepTar(writeTar(layerEntries(entries, plan, ({ name }) => folders.push(name))));
  const made = { layer, listing: listing(), folders };
  if (source.checksum !== "")
    await cache.writeNote(key, { diffId: layer.diffId, listing: made.listing, folders } satisfies Note);
  return made;
}

/** Several layers as one, in their order: what a later one has is seen. */
export async function joinedLayer(layers: readonly Layer[], cache: LayerCache): Promise<Layer> {
  const key = sha256(["joined layer 1", ...layers.map(({ diffId }) => diffId)].join("\n"));
  const known = await cache.note(key, (json) => digestIn(json as { readonly diffId: unknown }));
  const kept = known && (await cache.find(known));
  if (kept) return kept;
  async function* entries() {
    for (const layer of layers) yield* readTar(layer.open("tar"));
  }
  const layer = await cache.keepTar(writeTar(entries()));
  await cache.writeNote(key, { diffId: layer.diffId });
  return layer;
}

interface Note {
  readonly diffId: Digest;
  readonly listing: PackageListing;
  readonly folders: readonly ByteString[];
}

function readNote(json: unknown): Note {
  const note = json as Note;
  if (!Array.isArray(note.listing.entries) || !Array.isArray(note.folders)) throw new TypeError("listing");
  return { ...note, diffId: digestIn(note) };
}

function digestIn({ diffId }: { readonly diffId: unknown }): Digest {
  if (typeof diffId !== "string" || !isDigest(diffId)) throw new TypeError("diffId");
  return diffId;
}

function keyOf(checksum: string, plan: PackagePlan): string {
  if (isWhole(plan)) return sha256(`${format}\n${checksum}`);
  const { leftOut, linked, moved } = plan;
  return sha256(JSON.stringify([format, checksum, [...leftOut].sort(), [...linked].sort(), [...moved].sort()]));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
