import type { StringMap } from "./bytes.ts";
import { type Digest, digestOf, parseDigest } from "./digest.ts";
import { object, optional, size, string, stringMap } from "./json-shape.ts";
import { type Platform, parsePlatform } from "./platform.ts";

/** OCI content descriptor. `size` in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: StringMap;
}

/** An entry of an image index. */
export interface ManifestDescriptor extends Descriptor {
  readonly platform?: Platform;
}

export function parseDescriptor(value: unknown, what: string): Descriptor {
  const json = object(value, what);
  return {
    mediaType: string(json.mediaType, `${what}.mediaType`),
    digest: parseDigest(json.digest, `${what}.digest`),
    size: size(json.size, `${what}.size`),
    ...optional(json, "annotations", stringMap, what),
  };
}

export function parseManifestDescriptor(value: unknown, what: string): ManifestDescriptor {
  return { ...parseDescriptor(value, what), ...optional(object(value, what), "platform", parsePlatform, what) };
}

export function descriptorOf(content: Uint8Array, mediaType: string, annotations?: StringMap): Descriptor {
  return {
    mediaType,
    digest: digestOf(content),
    size: content.length,
    ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
}
