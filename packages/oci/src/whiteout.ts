import { type ByteString, type TarHeader, tarHeader } from "./tar-entry.ts";
import { baseName, parentPath } from "./tar-path.ts";

const prefix = ".wh.";
const opaqueName = ".wh..wh..opq";

/** What a layer's entry says about the layers below: `hide` one path, or hide all that a directory had (`opaque`). */
export type Whiteout = { readonly kind: "hide" | "opaque"; readonly path: ByteString };

/** undefined: an ordinary entry. `path` as `entryPath` gives it. Other names of aufs (`.wh..wh.plnk`) count as ordinary. */
export function whiteoutOf(path: ByteString): Whiteout | undefined {
  const name = baseName(path);
  if (!name.startsWith(prefix)) return undefined;
  const parent = parentPath(path);
  if (name === opaqueName) return { kind: "opaque", path: parent };
  if (name.startsWith(".wh..wh.")) return undefined;
  const hidden = name.slice(prefix.length);
  return { kind: "hide", path: parent ? `${parent}/${hidden}` : hidden };
}

/** The entry that stands for a whiteout in a layer's tar. */
export function whiteoutHeader(whiteout: Whiteout): TarHeader {
  const { kind, path } = whiteout;
  const parent = kind === "opaque" ? path : parentPath(path);
  const name = kind === "opaque" ? opaqueName : prefix + baseName(path);
  return tarHeader({ name: parent ? `${parent}/${name}` : name, type: "file", mode: 0 });
}
