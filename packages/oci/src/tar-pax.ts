import { OciError } from "./error.ts";
import { type ByteString, noXattrs, type TarHeader } from "./tar-entry.ts";

// Extended headers: a list of "LENGTH KEY=VALUE\n", the length counting itself. Values may be any bytes, so records are cut by length alone.

export type PaxRecords = ReadonlyMap<ByteString, Uint8Array>;

const xattrPrefix = "SCHILY.xattr.";

export function parsePax(block: Uint8Array): PaxRecords {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.length);
  const records = new Map<ByteString, Uint8Array>();
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 ? "" : bytes.toString("latin1", at, space);
    const end = at + Number(digits);
    if (!/^[0-9]{1,10}$/.test(digits) || end > bytes.length || end <= space + 1 || bytes[end - 1] !== 0x0a)
      throw corrupt();
    const equals = bytes.indexOf(0x3d, space + 1);
    if (equals < 0 || equals >= end) throw corrupt();
    records.set(bytes.toString("latin1", space + 1, equals), bytes.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** The header with the records' values in the place of its own. An empty value stands for "as the plain header says". */
export function applyPax(header: TarHeader, records: PaxRecords): TarHeader {
  if (records.size === 0) return header;
  const changes: { -readonly [K in keyof TarHeader]?: TarHeader[K] } = {};
  let xattrs: Map<ByteString, Uint8Array> | undefined;
  for (const [key, value] of records) {
    if (key.startsWith(xattrPrefix)) {
      xattrs ??= new Map();
      // Copied: the record is a slice of a chunk that should not live as long as its smallest attribute.
      xattrs.set(decodeXattrName(key.slice(xattrPrefix.length)), Uint8Array.from(value));
      continue;
    }
    if (key.startsWith("GNU.sparse."))
      throw new OciError(
        "unsupported",
        "sparse files in a tar are not supported",
        "Make the archive again without --sparse.",
      );
    if (value.length === 0) continue;
    const text = () => Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
    if (key === "path") changes.name = text();
    else if (key === "linkpath") changes.linkname = text();
    else if (key === "uname") changes.uname = text();
    else if (key === "gname") changes.gname = text();
    else if (key === "size" || key === "uid" || key === "gid") changes[key] = wholeNumber(key, text());
    else if (key === "mtime") changes.mtime = parseTime(text());
  }
  return { ...header, ...changes, xattrs: xattrs ?? noXattrs };
}

/** Records of a header, always in the same order for the same content. */
export function encodePax(records: readonly (readonly [ByteString, ByteString | Uint8Array])[]): Buffer {
  return Buffer.concat(records.flatMap(([key, value]) => paxRecord(key, value)));
}

export function xattrRecords(xattrs: TarHeader["xattrs"]): readonly (readonly [ByteString, Uint8Array])[] {
  return [...xattrs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [xattrPrefix + encodeXattrName(name), value] as const);
}

/** `-1.5`, `1700000000.000000001`: no more digits than needed. */
export function formatTime(nanoseconds: bigint): string {
  const absolute = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = (absolute % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${nanoseconds < 0n ? "-" : ""}${absolute / 1_000_000_000n}${fraction ? `.${fraction}` : ""}`;
}

/** Digits beyond nanoseconds are cut. */
export function parseTime(text: string): bigint {
  const match = /^(-?)([0-9]{1,20})(?:\.([0-9]*))?$/.exec(text);
  if (!match)
    throw new OciError("corrupt", `a tar entry has the time ${JSON.stringify(text)}`, "The archive is damaged.");
  const [, sign, seconds = "0", fraction = ""] = match;
  const absolute = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return sign ? -absolute : absolute;
}

function paxRecord(key: ByteString, value: ByteString | Uint8Array): Buffer[] {
  const body = typeof value === "string" ? Buffer.from(value, "latin1") : value;
  const rest = key.length + body.length + 3; // space, equals sign, newline
  let length = rest + String(rest).length;
  if (length !== rest + String(length).length) length += 1;
  return [Buffer.from(`${length} ${key}=`, "latin1"), Buffer.from(body), newline];
}

const newline = Buffer.from("\n");

// A record's key ends at its first "=": GNU tar escapes the sign in attribute names, and the escape itself.
function encodeXattrName(name: ByteString): ByteString {
  return name.replaceAll("%", "%25").replaceAll("=", "%3D");
}

function decodeXattrName(name: ByteString): ByteString {
  return name.replaceAll("%3D", "=").replaceAll("%25", "%");
}

function wholeNumber(key: string, text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value))
    throw new OciError("corrupt", `a tar entry has the ${key} ${JSON.stringify(text)}`, "The archive is damaged.");
  return value;
}

function corrupt(): OciError {
  return new OciError(
    "corrupt",
    "an extended tar header is damaged",
    "The archive is damaged: make or fetch it again.",
  );
}
