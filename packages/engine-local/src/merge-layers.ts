import { type ByteString, entryPath, type TarHeader, type TarInput, whiteoutHeader, whiteoutOf } from "@melange2/oci";

/** One layer's tar, to be read as often as needed. */
export type OpenEntries = () => AsyncIterable<TarInput>;

/**
 * The one layer that does what these layers do one after another, bottom first: directories, then what is hidden of the
 * layers below, then everything else. Reads each layer twice; holds names and headers in memory, no content.
 */
export async function* mergeLayers(layers: readonly OpenEntries[]): AsyncIterable<TarInput> {
  const plan = await planMerge(layers);
  const paths = [...plan.winners.keys()].sort(byComponents);
  for (const path of paths) {
    const { header } = plan.winners.get(path) as Winner;
    if (header.type !== "directory") continue;
    yield { header };
    if (plan.opaque.has(path)) yield { header: whiteoutHeader({ kind: "opaque", path }) };
  }
  for (const path of [...plan.hidden].sort(byComponents)) yield { header: whiteoutHeader({ kind: "hide", path }) };
  for (const [index, open] of layers.entries()) yield* contents(open, index, plan.winners);
}

interface Winner {
  readonly layer: number;
  /** With a normal name. */
  readonly header: TarHeader;
}

interface MergePlan {
  /** What is at each path in the end, and the layer it comes from. */
  readonly winners: Map<ByteString, Winner>;
  /** Directories whose content in the layers below is hidden. */
  readonly opaque: Set<ByteString>;
  /** Paths that are gone. */
  readonly hidden: Set<ByteString>;
}

async function planMerge(layers: readonly OpenEntries[]): Promise<MergePlan> {
  const winners = new Map<ByteString, Winner>();
  const opaque = new Set<ByteString>();
  const hidden = new Set<ByteString>();
  // Layers made of overlay's directories hold the parents of all they have, so only a directory can have anything beneath.
  const forgetBeneath = (path: ByteString) => {
    if (winners.get(path)?.header.type !== "directory") return;
    const beneath = path === "" ? "" : `${path}/`;
    for (const known of [winners, opaque, hidden])
      for (const one of [...known.keys()]) if (one !== path && one.startsWith(beneath)) known.delete(one);
  };
  for (const [layer, open] of layers.entries()) {
    const added: Winner[] = [];
    for await (const { header } of open()) {
      const path = entryPath(header.name);
      const whiteout = whiteoutOf(path);
      if (whiteout === undefined) added.push({ layer, header: { ...header, name: path === "" ? "." : path } });
      else {
        forgetBeneath(whiteout.path);
        if (whiteout.kind === "opaque") opaque.add(whiteout.path);
        else {
          winners.delete(whiteout.path);
          opaque.delete(whiteout.path);
          hidden.add(whiteout.path);
        }
      }
    }
    for (const winner of added) {
      const path = winner.header.name === "." ? "" : winner.header.name;
      const before = winners.get(path);
      const directory = winner.header.type === "directory";
      if (!directory) forgetBeneath(path);
      // A directory where one was deleted, or where a file was, does not bring back what the layers below have in it.
      const replaced = hidden.delete(path) || (before !== undefined && before.header.type !== "directory");
      if (directory && replaced) opaque.add(path);
      if (!directory) opaque.delete(path);
      winners.set(path, winner);
    }
  }
  return { winners, opaque, hidden };
}

/** What of a layer is still there in the end, directories aside. */
async function* contents(
  open: OpenEntries,
  layer: number,
  winners: ReadonlyMap<ByteString, Winner>,
): AsyncIterable<TarInput> {
  const carriers = carriersOf(layer, winners);
  for await (const { header, body } of open()) {
    const path = entryPath(header.name);
    if (header.type === "directory" || whiteoutOf(path) !== undefined) continue;
    const stays = winners.get(path)?.layer === layer;
    if (header.type === "hardlink") {
      const linkname = carriers.get(entryPath(header.linkname));
      if (stays && linkname !== undefined && linkname !== path) yield { header: { ...header, name: path, linkname } };
    } else {
      const name = stays ? path : carriers.get(path);
      if (name !== undefined) yield { header: { ...header, name }, ...(body === undefined ? {} : { body }) };
    }
  }
}

/** For each file of a layer that has other names left: the name that carries its content, itself where it is still there. */
function carriersOf(layer: number, winners: ReadonlyMap<ByteString, Winner>): ReadonlyMap<ByteString, ByteString> {
  const carriers = new Map<ByteString, ByteString>();
  for (const [path, winner] of winners) {
    if (winner.layer !== layer || winner.header.type !== "hardlink") continue;
    const file = entryPath(winner.header.linkname);
    const there = winners.get(file);
    const itself = there?.layer === layer && there.header.type !== "hardlink";
    const known = carriers.get(file);
    if (itself) carriers.set(file, file);
    else if (known === undefined || path < known) carriers.set(file, path);
  }
  return carriers;
}

/** Parents before what is beneath them. */
function byComponents(a: ByteString, b: ByteString): number {
  const [left, right] = [a.replaceAll("/", "\0"), b.replaceAll("/", "\0")];
  return left < right ? -1 : left > right ? 1 : 0;
}
