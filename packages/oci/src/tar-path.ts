import { OciError } from "./error.ts";
import { type ByteString, textOf } from "./tar-entry.ts";

/**
 * An entry's name as a path relative to the root: no `./`, no doubled or ending slashes; empty for the root itself.
 * Throws `unsafe-path` for absolute names, `..` components and NUL bytes.
 */
export function entryPath(name: ByteString): ByteString {
  if (plain.test(name)) return name;
  if (name.startsWith("/")) throw unsafe(name, "it is absolute");
  if (name.includes("\0")) throw unsafe(name, "it holds a NUL byte");
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw unsafe(name, "it leads out of its directory");
  return parts.join("/");
}

// The usual form: components that do not begin with a dot, single slashes between them.
const plain = /^[^./\0][^/\0]*(?:\/[^./\0][^/\0]*)*$/;

/** `etc` for `etc/passwd`, empty for `etc`. */
export function parentPath(path: ByteString): ByteString {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

export function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf("/") + 1);
}

function unsafe(name: ByteString, why: string): OciError {
  return new OciError(
    "unsafe-path",
    `the tar entry ${JSON.stringify(textOf(name))} is refused: ${why}`,
    "Make the archive again with names relative to its root.",
  );
}
