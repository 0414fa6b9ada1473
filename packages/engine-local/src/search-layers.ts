import { type SecretSource, searchNeedlesOf } from "@melange2/core";
import { entryPath, type TarEntry, textOf } from "@melange2/oci";
import { readDirectory } from "./directory-tar.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import { type NeedleScan, needleScan } from "./needle-scan.ts";
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
  const needles = secrets.names
    .flatMap((name) => searchNeedlesOf(secrets.get(name) ?? ""))
    .map((text) => Buffer.from(text));
  if (needles.length === 0) return [];
  const scan = needleScan(needles);
  const found = new Set<string>();
  for (const id of new Set(states.flatMap(({ layers }) => layers)))
    for await (const entry of readDirectory(space.host, space.store.files(id), { doing: "searching a layer", signal }))
      if (await holds(entry, scan)) found.add(`/${textOf(entryPath(entry.header.name))}`);
  return [...found].sort();
}

async function holds({ header, body }: TarEntry, scan: NeedleScan): Promise<boolean> {
  if (scan.within(Buffer.from(header.name, "latin1")) || scan.within(Buffer.from(header.linkname, "latin1")))
    return true;
  for (const [name, value] of header.xattrs)
    if (scan.within(Buffer.from(name, "latin1")) || scan.within(value)) return true;
  const next = scan.start();
  for await (const piece of body) if (next(piece)) return true;
  return false;
}
