import { holdsSecret, matcherOf, type SecretMatcher, type SecretSource, secretScan } from "@melange2/core";
import { entryPath, type TarEntry, textOf } from "@melange2/oci";
import { readDirectory } from "./directory-tar.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import type { WorkSpace } from "./work-space.ts";

/**
 * Paths that hold a secret in any of its forms, in any layer of these states: in files, names, link targets and attributes.
 * Layers are searched, not merged trees: what a later step deleted still leaves with the image.
 */
export async function searchLayers(
  space: WorkSpace,
  states: readonly LocalSnapshot[],
  secrets: SecretSource,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const matcher = matcherOf(secrets);
  if (matcher.longest === 0) return [];
  const found = new Set<string>();
  for (const id of new Set(states.flatMap(({ layers }) => layers)))
    for await (const entry of readDirectory(space.host, space.store.files(id), { doing: "searching a layer", signal }))
      if (await holds(entry, matcher)) found.add(`/${textOf(entryPath(entry.header.name))}`);
  return [...found].sort();
}

async function holds({ header, body }: TarEntry, matcher: SecretMatcher): Promise<boolean> {
  const texts = [header.name, header.linkname, ...header.xattrs.keys()].map((name) => Buffer.from(name, "latin1"));
  if ([...texts, ...header.xattrs.values()].some((bytes) => holdsSecret(matcher, bytes))) return true;
  const scan = secretScan(matcher);
  for await (const piece of body) if (scan(piece)) return true;
  return false;
}
