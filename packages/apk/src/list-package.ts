import { type ByteString, type Bytes, collect } from "@melange2/oci";
import { appletsOf } from "./busybox-links.ts";
import { type PackageEntry, packageEntries } from "./package-entries.ts";
import type { PackageFile } from "./package-file.ts";
import { type ListedBusybox, type ListedEntry, listedEntry, type PackageListing } from "./package-listing.ts";

/** Of larger ones the names are not looked for; busybox has one or two megabytes. */
const largestBusybox = 16 << 20;
const busyboxList = /^etc\/busybox-paths\.d\/[^/]+$/;

/** A package's entries on their way to somebody, and its listing, which is complete when they have all gone by. */
export interface ListingEntries {
  readonly entries: AsyncGenerator<PackageEntry, void, undefined>;
  /** Throws a TypeError before the entries have ended. */
  listing(): PackageListing;
}

export function listingEntries(file: PackageFile, signal: AbortSignal): ListingEntries {
  const listed: ListedEntry[] = [];
  const seen: { program?: { readonly applets: readonly string[]; readonly time: number }; list?: string } = {};
  let ended = false;
  async function* entries(): AsyncGenerator<PackageEntry, void, undefined> {
    for await (const entry of packageEntries(file, signal)) {
      listed.push(listedEntry(entry.header, entry.checksum));
      const isWanted = entry.path === "bin/busybox" || entry.path === "usr/bin/busybox" || busyboxList.test(entry.path);
      if (!isWanted || entry.header.type !== "file" || entry.header.size > largestBusybox) yield entry;
      else {
        const content = await collect(entry.body, largestBusybox, entry.path);
        note(seen, entry.path, content, Number(entry.header.mtime / 1_000_000_000n));
        yield { ...entry, body: once(content) };
      }
    }
    ended = true;
  }
  return {
    entries: entries(),
    listing() {
      if (!ended) throw new TypeError("a package's listing was asked for before its end");
      return listingOf(file, listed, busyboxOf(seen));
    },
  };
}

function note(
  seen: { program?: { readonly applets: readonly string[]; readonly time: number }; list?: string },
  path: ByteString,
  content: Uint8Array,
  time: number,
): void {
  if (busyboxList.test(path)) seen.list = `${seen.list ?? ""}${Buffer.from(content).toString("latin1")}\n`;
  else seen.program = { applets: appletsOf(Buffer.from(content)), time };
}

function busyboxOf({ program, list }: Parameters<typeof note>[0]): ListedBusybox | undefined {
  if (!program) return undefined;
  return list === undefined ? program : { listed: list, applets: [], time: program.time };
}

function listingOf(
  { info, checksum, size, scripts }: PackageFile,
  entries: readonly ListedEntry[],
  busybox: ListedBusybox | undefined,
): PackageListing {
  return {
    info,
    checksum,
    fileSize: size,
    scripts: scripts.map(({ content, ...script }) => ({ ...script, content: Buffer.from(content).toString("base64") })),
    ...(busybox ? { busybox } : {}),
    entries,
  };
}

async function* once(content: Uint8Array): Bytes {
  yield content;
}
