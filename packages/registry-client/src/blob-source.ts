import type { Descriptor } from "@melange2/oci";

/** The annotation by which containerd and BuildKit too remember where a blob was pulled from; the registry's host follows. */
const prefix = "containerd.io/distribution.source.";

/** The descriptor, with a note that this repository has the blob. A push to the same registry then mounts it from there. */
export function withSource(descriptor: Descriptor, registry: string, repository: string): Descriptor {
  return { ...descriptor, annotations: { ...descriptor.annotations, [`${prefix}${registry}`]: repository } };
}

/** Repositories of a registry that a blob is noted to be in. */
export function sourcesOf(descriptor: Descriptor | undefined, registry: string): readonly string[] {
  return (descriptor?.annotations?.[`${prefix}${registry}`] ?? "").split(",").filter((repository) => repository !== "");
}
