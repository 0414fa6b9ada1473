import { entryPath, readTar, type TarEntry, textOf, whiteoutOf } from "@melange2/oci";
import type { BuildSpace } from "./build-space.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";

/** The same search on this side, through the layers that an image of the state would have. */
export async function searchLayers(
  { daemon, ...space }: BuildSpace,
  at: BuildkitSnapshot,
  needles: readonly string[],
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
  const wanted = needles.map((needle) => Buffer.from(needle));
  const found: string[] = [];
  for (const layer of image.layers) {
    for await (const entry of readTar(layer.open("tar"))) {
      const path = entryPath(entry.header.name);
      if (whiteoutOf(path) === undefined && (await holds(entry, wanted))) found.push(`/${textOf(path)}`);
    }
  }
  return found;
}

async function holds({ header, body }: TarEntry, needles: readonly Buffer[]): Promise<boolean> {
  const within = (bytes: Buffer) => needles.some((needle) => bytes.includes(needle));
  const names = [header.name, header.linkname, ...header.xattrs.keys()].map((name) => Buffer.from(name, "latin1"));
  if ([...names, ...[...header.xattrs.values()].map((value) => Buffer.from(value))].some(within)) return true;
  const overlap = Math.max(...needles.map(({ length }) => length)) - 1;
  let tail = Buffer.alloc(0);
  for await (const piece of body) {
    const text = Buffer.concat([tail, piece]);
    if (within(text)) return true;
    tail = text.subarray(Math.max(0, text.length - overlap));
  }
  return false;
}
