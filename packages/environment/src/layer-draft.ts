import { MelangeError } from "@melange2/core";
import {
  type ByteString,
  type LayerTree,
  noXattrs,
  type TarHeader,
  type TarInput,
  tarHeader,
  textOf,
} from "@melange2/oci";

/** Entries for a layer that goes on top of a base. */
export interface LayerDraft {
  /** A directory with these owners and mode, whether the base has it or not; its contents stay. `path` without a leading slash. */
  directory(path: ByteString, fields: Pick<TarHeader, "mode" | "uid" | "gid">): void;
  file(path: ByteString, fields: Pick<TarHeader, "mode" | "uid" | "gid" | "size">, body: TarInput["body"]): void;
  entries(): readonly TarInput[];
}

/**
 * Puts every entry where a process in the base would: symlinks among its parents are followed, so that a layer never hides the base's
 * `/home -> /var/home` behind a directory of its own. Parents come along with the base's own metadata; new ones are root's, 0755.
 * New entries have the given mtime (nanoseconds), directories of the base keep theirs.
 */
export function layerDraft(tree: LayerTree<unknown>, mtime: bigint): LayerDraft {
  const drafted = new Map<ByteString, TarInput>();

  const place = (path: ByteString): ByteString => {
    const slash = path.lastIndexOf("/");
    const parent = slash < 0 ? "" : realDirectory(tree, drafted, path.slice(0, slash));
    let above = "";
    for (const name of parent.split("/").filter(Boolean)) {
      above = above ? `${above}/${name}` : name;
      if (!drafted.has(above)) drafted.set(above, { header: directoryHeader(tree, above, mtime) });
    }
    return parent ? `${parent}/${path.slice(slash + 1)}` : path.slice(slash + 1);
  };

  return {
    directory(path, fields) {
      const asked = place(path);
      const at = tree.find(asked)?.header.type === "symlink" ? place(realDirectory(tree, drafted, asked)) : asked;
      drafted.set(at, { header: { ...directoryHeader(tree, at, mtime), ...fields } });
    },
    file(path, fields, body) {
      const at = place(path);
      const existing = tree.find(at)?.header.type;
      if (existing === "symlink" || existing === "directory")
        throw new MelangeError("environment", `/${textOf(at)} is a ${existing} in the base, where a file must go`, {
          hint: "Use a base in which it is an ordinary file, or missing.",
        });
      drafted.set(at, { header: tarHeader({ name: at, type: "file", mtime, ...fields }), body });
    },
    entries: () => [...drafted.values()],
  };
}

/** The base's own header of a directory, or a new one. */
function directoryHeader(tree: LayerTree<unknown>, path: ByteString, mtime: bigint): TarHeader {
  const found = tree.find(path)?.header;
  if (found?.type === "directory") return { ...found, name: path, uname: "", gname: "" };
  return tarHeader({ name: path, type: "directory", mtime, xattrs: noXattrs });
}

/** A directory's path without symlinks; components that nobody has yet stand as they are. */
function realDirectory(
  tree: LayerTree<unknown>,
  drafted: ReadonlyMap<ByteString, TarInput>,
  path: ByteString,
): ByteString {
  let pending = path.split("/");
  let real: ByteString[] = [];
  for (let links = 0; pending.length > 0; ) {
    const [name = "", ...rest] = pending;
    pending = rest;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      real.pop();
      continue;
    }
    const at = [...real, name].join("/");
    const found = (drafted.get(at) ?? tree.find(at))?.header;
    if (found?.type === "symlink") {
      if (++links > 40) throw loop(path);
      if (found.linkname.startsWith("/")) real = [];
      pending = [...found.linkname.split("/"), ...rest];
    } else if (found && found.type !== "directory")
      throw new MelangeError(
        "environment",
        `/${textOf(at)} is a ${found.type} in the base, where a directory must be`,
        {
          hint: "Use a base without it.",
        },
      );
    else real.push(name);
  }
  return real.join("/");
}

function loop(path: ByteString): MelangeError {
  return new MelangeError("environment", `the symlinks on the way to /${textOf(path)} in the base lead in a circle`, {
    hint: "Use a base without them.",
  });
}
