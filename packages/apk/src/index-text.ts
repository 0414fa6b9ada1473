import { ApkError } from "./error.ts";
import { quoted } from "./printable.ts";

/** What an index says of one package. Texts are as written; absent ones are empty, absent numbers 0. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly license: string;
  readonly description: string;
  readonly origin: string;
  readonly maintainer: string;
  readonly url: string;
  /** The commit of the recipe that it was built from. */
  readonly commit: string;
  /** Seconds since 1970. */
  readonly buildTime: number;
  /** Bytes of the package file. */
  readonly size: number;
  /** Bytes of the package's files, unpacked. */
  readonly installedSize: number;
  readonly providerPriority: number;
  /** SHA-1 of the package file's control member, as it is compressed, in lowercase hex; empty where the index has none. */
  readonly checksum: string;
  readonly depends: readonly string[];
  readonly provides: readonly string[];
  readonly installIf: readonly string[];
}

type Fields = { -readonly [Field in keyof PackageRecord]: PackageRecord[Field] };
type FieldsOf<Kind> = { [Field in keyof Fields]: Fields[Field] extends Kind ? Field : never }[keyof Fields];

const texts: Readonly<Record<string, FieldsOf<string>>> = {
  P: "name",
  V: "version",
  A: "architecture",
  L: "license",
  T: "description",
  o: "origin",
  m: "maintainer",
  U: "url",
  c: "commit",
};
const lists: Readonly<Record<string, FieldsOf<readonly string[]>>> = { D: "depends", p: "provides", i: "installIf" };
const numbers: Readonly<Record<string, FieldsOf<number>>> = {
  t: "buildTime",
  S: "size",
  I: "installedSize",
  k: "providerPriority",
};
const longestLine = 1 << 20;
const none: readonly string[] = [];

/**
 * The records of an APKINDEX, in its order. Unknown fields are left out, and so are records without a name. As apko does it, a last record
 * that no empty line ends is lost. `what` names the index in errors. Throws `index` with the line's number, `limit` for a line over 1 MiB.
 */
export function parseIndexText(text: string, what: string): PackageRecord[] {
  const records: PackageRecord[] = [];
  let record = emptyRecord();
  let line = 0;
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf("\n", start);
    const end = found < 0 ? text.length : found;
    line += 1;
    if (end === start) {
      if (record.name !== "") records.push(record);
      record = emptyRecord();
    } else readLine(text, start, end, record, `${what}, line ${line}`);
    start = end + 1;
  }
  return records;
}

/** Every record has the same fields in the same order from its beginning on: engines read thousands of such objects fast. */
function emptyRecord(): Fields {
  return {
    name: "",
    version: "",
    architecture: "",
    license: "",
    description: "",
    origin: "",
    maintainer: "",
    url: "",
    commit: "",
    buildTime: 0,
    size: 0,
    installedSize: 0,
    providerPriority: 0,
    checksum: "",
    depends: none,
    provides: none,
    installIf: none,
  };
}

function readLine(text: string, start: number, end: number, record: Fields, where: string): void {
  if (end - start > longestLine)
    throw new ApkError("limit", `${where}: the line is longer than ${longestLine} bytes`, { hint: damagedHint });
  const letter = text[start] ?? "";
  if (end - start < 2 || text[start + 1] !== ":")
    throw new ApkError("index", `${where}: expected a letter and a colon, found ${quoted(text.slice(start, end))}`, {
      hint: damagedHint,
    });
  const value = text.slice(start + 2, text[end - 1] === "\r" ? end - 1 : end);
  const textField = texts[letter];
  const listField = lists[letter];
  const numberField = numbers[letter];
  if (textField) record[textField] = value;
  else if (listField) record[listField] = value === "" ? none : value.split(" ");
  else if (numberField) record[numberField] = wholeNumber(value, letter, where);
  else if (letter === "C") record.checksum = checksumOf(value, where);
}

function wholeNumber(value: string, field: string, where: string): number {
  const [grammar, from, to] = field === "t" ? signed : unsigned;
  if (grammar.test(value) && (value.length <= 15 || isWithin(BigInt(value), from, to))) return Number(value);
  throw new ApkError("index", `${where}: the field ${field} is no whole number: ${quoted(value)}`, {
    hint: damagedHint,
  });
}

const signed = [/^-?[0-9]+$/, -(2n ** 63n), 2n ** 63n - 1n] as const;
const unsigned = [/^[0-9]+$/, 0n, 2n ** 64n - 1n] as const;

function isWithin(value: bigint, from: bigint, to: bigint): boolean {
  return value >= from && value <= to;
}

/** Only SHA-1 is known, written as `Q1` and base64; checksums of other kinds count as absent. */
function checksumOf(value: string, where: string): string {
  if (!value.startsWith("Q1")) return "";
  const bytes = Buffer.from(value.slice(2), "base64");
  if (bytes.length !== 20)
    throw new ApkError("index", `${where}: the checksum ${quoted(value)} is no SHA-1`, { hint: damagedHint });
  return bytes.toString("hex");
}

const damagedHint = "The index is damaged: fetch it again, or ask whoever publishes the repository.";
