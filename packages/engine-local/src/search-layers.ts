import { matcherOf, type SearchResult, type SecretSource, searchEntry } from "@melange2/core";
import { entryPath, textOf } from "@melange2/oci";
import { readDirectory } from "./directory-tar.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import type { WorkSpace } from "./work-space.ts";

/**
 * Looks for secrets in any of their forms, in any layer of these states: in files, names, link targets and attributes.
 * Layers are searched, not merged trees: what a later step deleted still leaves with the image.
 */
export async function searchLayers(
  space: WorkSpace,
  states: readonly LocalSnapshot[],
  secrets: SecretSource,
  signal: AbortSignal,
): Promise<SearchResult> {
  const matcher = matcherOf(secrets);
  if (matcher.longest === 0) return { paths: [], compressed: 0 };
  const paths = new Set<string>();
  let compressed = 0;
  for (const id of new Set(states.flatMap(({ layers }) => layers)))
    for await (const entry of readDirectory(space.host, space.store.files(id), {
      doing: "searching a layer",
      signal,
    })) {
      const result = await searchEntry(matcher, entry);
      if (result.found) paths.add(`/${textOf(entryPath(entry.header.name))}`);
      if (result.compressed) compressed += 1;
    }
  return { paths: [...paths].sort(), compressed };
}
