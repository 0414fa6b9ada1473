import { type ByteString, parentPath, type TarHeader, type TarInput, tarHeader } from "@melange2/oci";
import type { PackagePlan } from "./install-plan.ts";
import type { PackageEntry } from "./package-entries.ts";

/** Everything of a package at the paths that it has itself. */
export const wholePackage: PackagePlan = { leftOut: new Set(), linked: new Set(), moved: new Map() };

export function isWhole({ leftOut, moved }: PackagePlan): boolean {
  return leftOut.size === 0 && moved.size === 0;
}

/**
 * A package's files as entries of a layer. Folders that the package does not list are root's, 0755: whoever composes the environment says in a layer above
 * how folders are in the end. `onEntry` is called for each folder that the layer states, too.
 */
export async function* layerEntries(
  entries: AsyncIterable<PackageEntry>,
  plan: PackagePlan,
  onFolder: (header: TarHeader) => void = () => {},
): AsyncGenerator<TarInput, void, undefined> {
  const stated = new Set<ByteString>([""]);
  /** Where the content of a file went that hard links lead to. */
  const contents = new Map<ByteString, ByteString>();
  /** Files whose own path is another package's, by path: the first link to one takes its content. */
  const homeless = new Map<ByteString, { readonly header: TarHeader; readonly content: Uint8Array }>();

  function* folder(header: TarHeader): Generator<TarInput> {
    if (stated.has(header.name)) return;
    yield* parents(header.name);
    stated.add(header.name);
    onFolder(header);
    yield { header };
  }
  function* parents(path: ByteString): Generator<TarInput> {
    const parent = parentPath(path);
    if (!stated.has(parent)) yield* folder(tarHeader({ name: parent, type: "directory" }));
  }

  for await (const { path, header, body } of entries) {
    const name = plan.moved.get(path) ?? path;
    if (plan.leftOut.has(path)) {
      if (plan.linked.has(path)) homeless.set(path, { header, content: await whole(body, header.size) });
      continue;
    }
    if (header.type === "directory") {
      yield* folder({ ...header, name });
      continue;
    }
    yield* parents(name);
    if (header.type !== "hardlink") {
      if (header.type === "file") contents.set(path, name);
      yield { header: { ...header, name }, body };
      continue;
    }
    const linkname = contents.get(header.linkname);
    const lost = homeless.get(header.linkname);
    if (linkname !== undefined) {
      contents.set(path, name);
      yield { header: { ...header, name, linkname } };
    } else if (lost) {
      contents.set(header.linkname, name);
      yield { header: { ...lost.header, name }, body: lost.content };
    }
  }
}

async function whole(body: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const content = Buffer.alloc(size);
  let at = 0;
  for await (const chunk of body) {
    content.set(chunk, at);
    at += chunk.length;
  }
  return content;
}
