import { resolve } from "node:path";
import { ApkError, printable } from "@melange2/apk";

/** Where packages come from, as a line of `/etc/apk/repositories` says it. */
export interface Repository {
  /** Its packages are taken only where this tag is asked for; empty: always. */
  readonly tag: string;
  /** An address of http or https without a slash at its end, or a folder's absolute path. */
  readonly at: { readonly kind: "http"; readonly url: URL } | { readonly kind: "folder"; readonly path: string };
  /** For people: without a password. */
  readonly shown: string;
}

/**
 * Reads `ADDRESS` or `@TAG ADDRESS`; the address is one of http, https or `file:`, or a path, relative to `directory`. Throws `repository`.
 */
export function parseRepository(line: string, directory: string): Repository {
  const [first = "", second, ...more] = line.trim().split(/\s+/);
  const tagged = first.startsWith("@");
  const address = tagged ? second : first;
  if (!address || (tagged ? more.length > 0 : second !== undefined))
    throw wrong(line, "it is not ADDRESS or @TAG ADDRESS");
  const tag = tagged ? first.slice(1) : "";
  if (tagged && !/^[A-Za-z0-9]+$/.test(tag)) throw wrong(line, "a tag has letters and digits only");
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase();
  if (scheme === "http" || scheme === "https") {
    if (!URL.canParse(address)) throw wrong(line, "its address cannot be read");
    const url = new URL(address);
    url.pathname = url.pathname.replace(/\/+$/, "");
    url.hash = "";
    return { tag, at: { kind: "http", url }, shown: shownUrl(url) };
  }
  if (scheme !== undefined && scheme !== "file") throw wrong(line, `${scheme} is not supported`);
  const path = resolve(
    directory,
    scheme === "file" ? address.replace(/^file:\/\//i, "") : address.replace(/^file:/, ""),
  );
  return { tag, at: { kind: "folder", path }, shown: printable(path) };
}

/** An address without what only its owner should see. */
export function shownUrl(url: URL): string {
  const shown = new URL(url);
  shown.username = "";
  shown.password = "";
  shown.search = "";
  return printable(shown.href.replace(/\/$/, ""));
}

function wrong(line: string, why: string): ApkError {
  const bare = line.replace(/(:\/\/)[^/@\s]*@/, "$1");
  return new ApkError("repository", `the repository ${JSON.stringify(printable(bare))} cannot be used: ${why}`, {
    hint: "Give an address of http or https, or a folder: https://packages.example.com/os, ./packages, @edge ./edge.",
  });
}
