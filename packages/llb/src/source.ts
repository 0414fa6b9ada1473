import { create } from "@bufbuild/protobuf";
import { someText } from "./check.ts";
import { LlbError } from "./error.ts";
import { SourceOpSchema } from "./gen/ops_pb.ts";
import { completeReference } from "./reference.ts";
import type { State } from "./state.ts";
import { createVertex, type Platform, type VertexOptions } from "./vertex.ts";

export interface SourceOptions extends VertexOptions {
  readonly platform?: Platform;
}

export interface ImageOptions extends SourceOptions {
  /** pull: always asks the registry; local: prefers what the daemon has, but asks the registry for what it has not. */
  readonly resolveMode?: "default" | "pull" | "local";
}

/** The filesystem of an image in a registry (or, in a Docker daemon, of one it has). Short names are completed as Docker does. */
export function image(reference: string, options: ImageOptions = {}): State {
  const mode = options.resolveMode;
  return source(`docker-image://${completeReference("image", reference)}`, options, {
    attributes: mode === undefined ? {} : { "image.resolvemode": mode },
    capabilities: ["source.image", ...(mode === "pull" ? ["source.image.resolvemode"] : [])],
  });
}

export interface OciLayoutOptions extends SourceOptions {
  /** Names the content store that the session serves. */
  readonly store: string;
  /** The session that serves it; without, any session of the solve may. A fixed one makes the digest differ per session. */
  readonly session?: string;
}

/** The filesystem of an image whose blobs the client's session serves, `name@sha256:…`: the daemon asks only for those it lacks. */
export function ociLayout(reference: string, options: OciLayoutOptions): State {
  if (!/^[^@]+@sha256:[0-9a-f]{64}$/.test(reference)) {
    throw new LlbError(
      "ociLayout",
      `"${reference}" does not pin a manifest`,
      "Write it as name@sha256: and the 64 hex digits of the manifest.",
    );
  }
  return source(`oci-layout://${completeReference("ociLayout", reference)}`, options, {
    attributes: {
      "oci.store": someText("ociLayout, store", options.store),
      ...(options.session === undefined ? {} : { "oci.session": options.session }),
    },
    capabilities: ["source.ocilayout"],
  });
}

export interface LocalOptions extends SourceOptions {
  readonly session?: string;
  /** Patterns as in .dockerignore. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** Only these paths, and what their symlinks lead to. */
  readonly followPaths?: readonly string[];
  /** Directories with the same hint share one copy in the daemon, sent as differences. */
  readonly sharedKeyHint?: string;
  /** The digest then differs from every other local source's, however alike. */
  readonly unique?: string;
}

/**
 * A directory that the client's session sends under this name. Used directly as a root it is never cached across
 * sessions; a copy of it is cached by content.
 */
export function local(name: string, options: LocalOptions = {}): State {
  const attributes: Record<string, string> = {};
  const capabilities = ["source.local"];
  const add = (key: string, value: string | undefined, capability: string) => {
    if (value === undefined) return;
    attributes[key] = value;
    capabilities.push(capability);
  };
  const patterns = (list: readonly string[] | undefined) => (list === undefined ? undefined : JSON.stringify(list));
  add("local.session", options.session, "source.local.sessionid");
  add("local.includepattern", patterns(options.include), "source.local.includepatterns");
  add("local.excludepatterns", patterns(options.exclude), "source.local.excludepatterns");
  add("local.followpaths", patterns(options.followPaths), "source.local.followpaths");
  add("local.sharedkeyhint", options.sharedKeyHint, "source.local.sharedkeyhint");
  add("local.unique", options.unique, "source.local.unique");
  return source(`local://${someText("local, name", name)}`, options, { attributes, capabilities });
}

function source(
  identifier: string,
  options: SourceOptions,
  about: { attributes: Readonly<Record<string, string>>; capabilities: readonly string[] },
): State {
  // The daemon writes map entries in the order of their keys.
  const attrs = Object.fromEntries(Object.entries(about.attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
  const platform = options.platform && { ...options.platform };
  const vertex = createVertex({
    op: { case: "source", value: create(SourceOpSchema, { identifier, attrs }) },
    inputs: [],
    platform,
    options,
    capabilities: about.capabilities,
  });
  return { vertex, output: 0, platform };
}
