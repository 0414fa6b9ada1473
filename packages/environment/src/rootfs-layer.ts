import { MelangeError } from "@melange2/core";
import {
  type ByteString,
  type Bytes,
  entryPath,
  peek,
  readTar,
  type TarEntry,
  type TarHeader,
  type TarInput,
  textOf,
  whiteoutOf,
  writeTar,
} from "@melange2/oci";
import { elfArchitecture } from "./elf-platform.ts";

/** What was noticed while a root filesystem went by. */
export interface Seen {
  entries: number;
  /** First components of the names, some of them. */
  readonly top: Set<ByteString>;
  /** Of the first program found in a directory for programs. */
  architecture: string | undefined;
}

export function nothingSeen(): Seen {
  return { entries: 0, top: new Set(), architecture: undefined };
}

/**
 * A root filesystem's tar as a layer's tar: names relative and plain, numeric owners, what a layer cannot say refused. `owner` maps the owners' numbers.
 * Rejects with OciError `unsafe-path`, or `environment` for names and devices that mean something else in a layer.
 */
export async function* rootfsLayer(tar: Bytes, seen: Seen, owner: (id: number) => number = (id) => id): Bytes {
  yield* writeTar(layerEntries(tar, seen, owner));
}

async function* layerEntries(tar: Bytes, seen: Seen, owner: (id: number) => number): AsyncGenerator<TarInput> {
  for await (const entry of readTar(tar)) {
    const path = entryPath(entry.header.name);
    refuseMarks(path, entry.header);
    seen.entries += 1;
    if (path !== "" && seen.top.size < 64) seen.top.add(path.split("/", 1)[0] as ByteString);
    const { header } = entry;
    yield {
      header: {
        ...header,
        name: path || ".",
        linkname: header.type === "hardlink" ? entryPath(header.linkname) : header.linkname,
        uid: owner(header.uid),
        gid: owner(header.gid),
        uname: "",
        gname: "",
        xattrs: ownXattrs(header),
      },
      body: seen.architecture === undefined && isProgram(path, header) ? await sniffed(entry, seen) : entry.body,
    };
  }
}

/** The same body, after a look at its first bytes. */
async function sniffed(entry: TarEntry, seen: Seen): Promise<Bytes> {
  const { head, all } = await peek(entry.body, 20);
  seen.architecture = elfArchitecture(head);
  return all;
}

function isProgram(path: ByteString, header: TarHeader): boolean {
  return header.type === "file" && header.size > 64 && /^(?:usr\/)?s?bin\/[^/]+$/.test(path);
}

/** An engine's own marks would mean something to the next engine. */
function ownXattrs(header: TarHeader): TarHeader["xattrs"] {
  if (![...header.xattrs.keys()].some(isOverlayMark)) return header.xattrs;
  return new Map([...header.xattrs].filter(([name]) => !isOverlayMark(name)));
}

function isOverlayMark(name: string): boolean {
  return name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.");
}

function refuseMarks(path: ByteString, header: TarHeader): void {
  const device = header.type === "character" && header.major === 0 && header.minor === 0;
  if (!whiteoutOf(path) && !device) return;
  throw new MelangeError(
    "environment",
    `the base holds ${textOf(path)}, which would delete a file when it becomes a layer`,
    {
      hint: "Give a finished root filesystem, not a layer of one: no files named .wh.* and no character devices 0:0.",
    },
  );
}
