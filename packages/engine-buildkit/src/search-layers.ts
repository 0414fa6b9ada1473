import { holdsSecret, type SecretMatcher, secretScan } from "@melange2/core";
import { entryPath, readTar, type TarEntry, textOf, whiteoutOf } from "@melange2/oci";
import type { BuildSpace } from "./build-space.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";

/** The same search on this side, through the layers that an image of the state would have. */
export async function searchLayers(
  { daemon, ...space }: BuildSpace,
  at: BuildkitSnapshot,
  matcher: SecretMatcher,
  signal: AbortSignal,
): Promise<readonly string[]> {
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
  const found: string[] = [];
  for (const layer of image.layers) {
    for await (const entry of readTar(layer.open("tar"))) {
      const path = entryPath(entry.header.name);
      if (whiteoutOf(path) === undefined && (await holds(entry, matcher))) found.push(`/${textOf(path)}`);
    }
  }
  return found;
}

async function holds({ header, body }: TarEntry, matcher: SecretMatcher): Promise<boolean> {
  const texts = [header.name, header.linkname, ...header.xattrs.keys()].map((name) => Buffer.from(name, "latin1"));
  if ([...texts, ...header.xattrs.values()].some((bytes) => holdsSecret(matcher, bytes))) return true;
  const scan = secretScan(matcher);
  for await (const piece of body) if (scan(piece)) return true;
  return false;
}
