import type { StringMap } from "./bytes.ts";
import {
  type Descriptor,
  descriptorOf,
  type ManifestDescriptor,
  parseDescriptor,
  parseManifestDescriptor,
} from "./descriptor.ts";
import { OciError } from "./error.ts";
import { sortKeys } from "./image-config.ts";
import { type JsonObject, list, optional, parseJson, string, stringMap } from "./json-shape.ts";
import { compressionOf, isIndexType, isManifestType, mediaTypes } from "./media-type.ts";

export interface Manifest {
  /** OCI or Docker manifest type. */
  readonly mediaType: string;
  readonly config: Descriptor;
  /** Bottom first. */
  readonly layers: readonly Descriptor[];
  readonly annotations: StringMap;
}

export interface Index {
  readonly mediaType: string;
  readonly manifests: readonly ManifestDescriptor[];
  readonly annotations: StringMap;
}

/** Reads an image manifest. Throws `invalid`; `unsupported` for schema 1, artifacts and layers of an unknown kind. */
export function parseManifest(content: Uint8Array, what = "manifest"): Manifest {
  const json = versioned(content, what);
  const mediaType = typeOf(json, mediaTypes.manifest, what);
  if (!isManifestType(mediaType))
    throw new OciError("unsupported", `${what} is a ${mediaType}, no image manifest`, "Name an image.");
  const config = parseDescriptor(json.config, `${what}.config`);
  if (config.mediaType !== mediaTypes.config && config.mediaType !== mediaTypes.dockerConfig)
    throw new OciError(
      "unsupported",
      `${what} describes a ${config.mediaType}, no image`,
      "Name an image; this is another kind of artifact.",
    );
  const layers = list(json.layers, `${what}.layers`).map((layer, index) =>
    parseDescriptor(layer, `${what}.layers[${index}]`),
  );
  for (const [index, layer] of layers.entries())
    if (compressionOf(layer.mediaType) === undefined)
      throw new OciError(
        "unsupported",
        `${what}.layers[${index}] is a ${layer.mediaType}`,
        "Only plain, gzip and zstd layers can be read; encrypted ones cannot.",
      );
  return { mediaType, config, layers, annotations: annotationsOf(json, what) };
}

/** Reads an image index or Docker manifest list. Throws `invalid` or `unsupported`. */
export function parseIndex(content: Uint8Array, what = "index"): Index {
  const json = versioned(content, what);
  const mediaType = typeOf(json, mediaTypes.index, what);
  if (!isIndexType(mediaType))
    throw new OciError("unsupported", `${what} is a ${mediaType}, no image index`, "Name an image index.");
  return {
    mediaType,
    manifests: list(json.manifests ?? [], `${what}.manifests`).map((entry, index) =>
      parseManifestDescriptor(entry, `${what}.manifests[${index}]`),
    ),
    annotations: annotationsOf(json, what),
  };
}

export interface ManifestSpec {
  readonly config: Uint8Array;
  readonly layers: readonly Descriptor[];
  readonly annotations?: StringMap;
}

/** An OCI image manifest. The same spec gives the same bytes. */
export function buildManifest(spec: ManifestSpec): { readonly content: Uint8Array; readonly descriptor: Descriptor } {
  const content = encode({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: descriptorOf(spec.config, mediaTypes.config),
    layers: spec.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    ...annotationsPart(spec.annotations),
  });
  return { content, descriptor: descriptorOf(content, mediaTypes.manifest) };
}

/** An OCI image index, also the `index.json` of a layout. */
export function buildIndex(manifests: readonly ManifestDescriptor[], annotations?: StringMap): Uint8Array {
  return encode({
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: manifests.map((entry) => ({
      mediaType: entry.mediaType,
      digest: entry.digest,
      size: entry.size,
      ...annotationsPart(entry.annotations),
      ...(entry.platform ? { platform: platformPart(entry.platform) } : {}),
    })),
    ...annotationsPart(annotations),
  });
}

function versioned(content: Uint8Array, what: string): JsonObject {
  const json = parseJson(content, what);
  if (json.schemaVersion !== 2)
    throw new OciError(
      json.schemaVersion === 1 ? "unsupported" : "invalid",
      `${what} has schema version ${JSON.stringify(json.schemaVersion) ?? "none"}`,
      "Only schema version 2 can be read.",
    );
  return json;
}

function typeOf(json: JsonObject, fallback: string, what: string): string {
  return optional(json, "mediaType", string, what).mediaType || fallback;
}

function annotationsOf(json: JsonObject, what: string): StringMap {
  return optional(json, "annotations", stringMap, what).annotations ?? {};
}

function annotationsPart(annotations: StringMap | undefined): { readonly annotations?: StringMap } {
  return annotations && Object.keys(annotations).length > 0 ? { annotations: sortKeys(annotations) } : {};
}

function platformPart(platform: NonNullable<ManifestDescriptor["platform"]>): object {
  const { architecture, os, variant } = platform;
  return { architecture, os, ...(variant ? { variant } : {}) };
}

function encode(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
