import type { StringMap } from "./bytes.ts";
import { type Digest, digestOf, parseDigest } from "./digest.ts";
import { OciError } from "./error.ts";
import { boolean, list, object, optional, parseJson, string, stringList, stringMap } from "./json-shape.ts";
import type { Platform } from "./platform.ts";

/** The part of an OCI image config that says how a container starts. Names as the specification spells them. */
export interface ImageConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: StringMap;
  readonly StopSignal?: string;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  /** True: this entry made no layer. */
  readonly empty_layer?: boolean;
}

/** A whole image config, the JSON that an image ID is the digest of. */
export interface ImageFile {
  readonly created?: string;
  readonly author?: string;
  readonly platform: Platform;
  readonly config: ImageConfig;
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
}

/** Reads an OCI or Docker image config; members that the OCI specification does not know are left out. Throws `invalid` or `unsupported`. */
export function parseImageConfig(content: Uint8Array, what = "image config"): ImageFile {
  const json = parseJson(content, what);
  const rootfs = object(json.rootfs, `${what}.rootfs`);
  const type = string(rootfs.type, `${what}.rootfs.type`);
  if (type !== "layers")
    throw new OciError(
      "unsupported",
      `${what}.rootfs.type is ${JSON.stringify(type)}`,
      'Only images of type "layers" can be read.',
    );
  const { variant } = optional(json, "variant", string, what);
  return {
    ...optional(json, "created", string, what),
    ...optional(json, "author", string, what),
    platform: {
      os: string(json.os, `${what}.os`),
      architecture: string(json.architecture, `${what}.architecture`),
      ...(variant ? { variant } : {}),
    },
    config: json.config === undefined || json.config === null ? {} : parseContainerPart(json.config, `${what}.config`),
    diffIds: list(rootfs.diff_ids ?? [], `${what}.rootfs.diff_ids`).map((id, index) =>
      parseDigest(id, `${what}.rootfs.diff_ids[${index}]`),
    ),
    history: list(json.history ?? [], `${what}.history`).map((entry, index) =>
      parseHistory(entry, `${what}.history[${index}]`),
    ),
  };
}

function parseContainerPart(value: unknown, what: string): ImageConfig {
  const json = object(value, what);
  const set = (member: unknown, where: string) =>
    Object.fromEntries(Object.keys(object(member, where)).map((key) => [key, {}]));
  return {
    ...optional(json, "User", string, what),
    ...optional(json, "ExposedPorts", set, what),
    ...optional(json, "Env", stringList, what),
    ...optional(json, "Entrypoint", stringList, what),
    ...optional(json, "Cmd", stringList, what),
    ...optional(json, "Volumes", set, what),
    ...optional(json, "WorkingDir", string, what),
    ...optional(json, "Labels", stringMap, what),
    ...optional(json, "StopSignal", string, what),
  };
}

function parseHistory(value: unknown, what: string): HistoryEntry {
  const json = object(value, what);
  return {
    ...optional(json, "created", string, what),
    ...optional(json, "created_by", string, what),
    ...optional(json, "author", string, what),
    ...optional(json, "comment", string, what),
    ...optional(json, "empty_layer", boolean, what),
  };
}

export interface ImageConfigSpec {
  readonly platform: Platform;
  readonly config: ImageConfig;
  /** Bottom layer first. */
  readonly diffIds: readonly Digest[];
  /** One line, or entry, for each layer, bottom first: what made it. */
  readonly history: readonly (string | HistoryEntry)[];
  /** Added to `config.Labels`; these win. */
  readonly labels?: StringMap;
  /** RFC 3339. */
  readonly created: string;
}

/** Bytes of an image config and their digest, the image ID. The same spec gives the same bytes, whatever the order of its keys. Throws `invalid`. */
export function buildImageConfig(spec: ImageConfigSpec): { readonly content: Uint8Array; readonly imageId: Digest } {
  const made = spec.history.filter((entry) => typeof entry === "string" || !entry.empty_layer).length;
  if (made !== spec.diffIds.length)
    throw new OciError(
      "invalid",
      `${made} history entries for ${spec.diffIds.length} layers`,
      "Give one history entry for each layer.",
    );
  if (Number.isNaN(Date.parse(spec.created)))
    throw new OciError(
      "invalid",
      `created is no RFC 3339 time: ${spec.created}`,
      "Use a form like 2026-01-31T12:00:00Z.",
    );
  const content = new TextEncoder().encode(
    JSON.stringify({
      created: spec.created,
      architecture: spec.platform.architecture,
      ...(spec.platform.variant ? { variant: spec.platform.variant } : {}),
      os: spec.platform.os,
      config: containerPart(spec.config, spec.labels ?? {}),
      rootfs: { type: "layers", diff_ids: spec.diffIds },
      history: spec.history.map((entry) =>
        historyPart(typeof entry === "string" ? { created: spec.created, created_by: entry } : entry),
      ),
    }),
  );
  return { content, imageId: digestOf(content) };
}

/** Members in the specification's order, undefined ones left out, maps sorted by key. */
function containerPart(config: ImageConfig, added: StringMap): ImageConfig {
  const labels = { ...config.Labels, ...added };
  return {
    ...(config.User ? { User: config.User } : {}),
    ...(config.ExposedPorts ? { ExposedPorts: sortKeys(config.ExposedPorts) } : {}),
    ...(config.Env ? { Env: config.Env } : {}),
    ...(config.Entrypoint ? { Entrypoint: config.Entrypoint } : {}),
    ...(config.Cmd ? { Cmd: config.Cmd } : {}),
    ...(config.Volumes ? { Volumes: sortKeys(config.Volumes) } : {}),
    ...(config.WorkingDir ? { WorkingDir: config.WorkingDir } : {}),
    ...(Object.keys(labels).length > 0 ? { Labels: sortKeys(labels) } : {}),
    ...(config.StopSignal ? { StopSignal: config.StopSignal } : {}),
  };
}

function historyPart(entry: HistoryEntry): HistoryEntry {
  return {
    ...(entry.created ? { created: entry.created } : {}),
    ...(entry.created_by ? { created_by: entry.created_by } : {}),
    ...(entry.author ? { author: entry.author } : {}),
    ...(entry.comment ? { comment: entry.comment } : {}),
    ...(entry.empty_layer ? { empty_layer: true } : {}),
  };
}

export function sortKeys<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
