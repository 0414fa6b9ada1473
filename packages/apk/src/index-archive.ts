import { bytesOf, collect, isOciError, readTar } from "@melange2/oci";
import { ApkError } from "./error.ts";
import { type GzipMember, gzipMembers } from "./gzip-members.ts";
import { type PackageRecord, parseIndexText } from "./index-text.ts";
import { quoted } from "./printable.ts";
import { type PublicKey, readSignatures, verifySignatures } from "./signature.ts";

/** An index, read. */
export interface PackageIndex {
  readonly packages: readonly PackageRecord[];
  /** The repository's own name for this state of it, as far as it has one. */
  readonly description: string;
  /** The key by which the signature is good; undefined where signatures were ignored. */
  readonly signedBy: string | undefined;
}

export interface ReadIndexOptions {
  /** How to call the index in errors: its address. */
  readonly what: string;
  /** Keys that may have signed it; "ignored" takes it as it is, signed or not. */
  readonly keys: readonly PublicKey[] | "ignored";
}

const largestIndex = 300 << 20;

/**
 * Reads an `APKINDEX.tar.gz`: a signature member and one or more members whose tar holds `APKINDEX` and `DESCRIPTION`. Only what was signed
 * is read. Rejects with `signature`, `key`, `index` or `limit`.
 */
export async function readIndexArchive(file: Uint8Array, { what, keys }: ReadIndexOptions): Promise<PackageIndex> {
  const members = gzipMembers(file, { limit: largestIndex, what });
  const isSigned = firstName(members[0]).startsWith(".SIGN.");
  const content = isSigned ? members.slice(1) : members;
  let signedBy: string | undefined;
  if (keys !== "ignored") {
    const signatures = isSigned ? await readSignatures(members[0]?.content as Buffer, what) : [];
    signedBy = verifySignatures(file.subarray(content[0]?.start ?? file.length), signatures, keys, what);
  }
  const { text, description } = await readContent(Buffer.concat(content.map((member) => member.content)), what);
  return { packages: parseIndexText(text, what), description, signedBy };
}

function firstName(member: GzipMember | undefined): string {
  return member?.content.toString("latin1", 0, 100).split("\0", 1)[0] ?? "";
}

async function readContent(tar: Uint8Array, what: string): Promise<{ text: string; description: string }> {
  const found = new Map<string, string>();
  try {
    for await (const { header, body } of readTar(bytesOf(tar), { end: "optional" })) {
      if (header.name !== "APKINDEX" && header.name !== "DESCRIPTION")
        throw damaged(what, `it holds ${quoted(header.name)}, which no index has`);
      found.set(header.name, Buffer.from(await collect(body, largestIndex, what)).toString("utf8"));
    }
  } catch (error) {
    throw isOciError(error) ? damaged(what, error.message, error) : error;
  }
  const text = found.get("APKINDEX");
  if (text === undefined) throw damaged(what, "it holds no APKINDEX");
  return { text, description: found.get("DESCRIPTION") ?? "" };
}

function damaged(what: string, why: string, cause?: unknown): ApkError {
  return new ApkError("index", `${what} is damaged: ${why}`, {
    hint: "Fetch it again, or ask whoever publishes the repository.",
    cause,
  });
}
