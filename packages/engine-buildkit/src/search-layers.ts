import { type SearchResult, type SecretMatcher, searchEntry } from "@melange2/core";
import { entryPath, readTar, textOf, whiteoutOf } from "@melange2/oci";
import type { BuildSpace } from "./build-space.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";

/** The same search on this side, through the layers that an image of the state would have. */
export async function searchLayers(
  { daemon, ...space }: BuildSpace,
  at: BuildkitSnapshot,
  matcher: SecretMatcher,
  signal: AbortSignal,
): Promise<SearchResult> {
  const spec = {
    config: {},
    platform: { os: "linux", architecture: "amd64" },
    labels: {},
    annotations: {},
    created: "1970-01-01T00:00:00Z",
    history: [],
    files: [],
  };
  await using image = await daemon.image({ daemon, ...space }, at, spec).open({ signal });
  const paths: string[] = [];
  let compressed = 0;
  for (const layer of image.layers) {
    for await (const entry of readTar(layer.open("tar"))) {
      const path = entryPath(entry.header.name);
      if (whiteoutOf(path) !== undefined) continue;
      const result = await searchEntry(matcher, entry);
      if (result.found) paths.push(`/${textOf(path)}`);
      if (result.compressed) compressed += 1;
    }
  }
  return { paths, compressed };
}
