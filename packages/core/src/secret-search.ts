import type { Bytes } from "./bytes.ts";
import { isCompressed } from "./compressed-file.ts";
import type { SecretSource } from "./engine.ts";
import type { ImageFile } from "./image.ts";
import { matcherOf } from "./redaction.ts";
import { holdsSecret, type SecretMatcher, secretScan } from "./secret-matcher.ts";

/** The absolute paths of those files that hold a secret's value in any of its forms. */
export async function filesWithSecrets(files: readonly ImageFile[], secrets: SecretSource): Promise<readonly string[]> {
  const matcher = matcherOf(secrets);
  const found: string[] = [];
  for (const file of files) {
    const scan = secretScan(matcher);
    for await (const piece of file.open()) {
      if (!scan(piece)) continue;
      found.push(`/${file.path}`);
      break;
    }
  }
  return found;
}

/** An entry of a layer. Names are byte strings: a character stands for a byte. */
export interface SearchedEntry {
  readonly header: {
    readonly name: string;
    readonly linkname: string;
    readonly xattrs: ReadonlyMap<string, Uint8Array>;
  };
  readonly body: Bytes;
}

/** Whether an entry's name, link target, attributes or content hold a secret, and whether its content is compressed. Reads no further than to a find. */
export async function searchEntry(
  matcher: SecretMatcher,
  { header, body }: SearchedEntry,
): Promise<{ readonly found: boolean; readonly compressed: boolean }> {
  const texts = [...[header.name, header.linkname, ...header.xattrs.keys()].map(bytesOf), ...header.xattrs.values()];
  if (texts.some((text) => holdsSecret(matcher, text))) return { found: true, compressed: false };
  const scan = secretScan(matcher);
  let compressed: boolean | undefined;
  for await (const piece of body) {
    compressed ??= isCompressed(piece);
    if (scan(piece)) return { found: true, compressed };
  }
  return { found: false, compressed: compressed ?? false };
}

function bytesOf(name: string): Uint8Array {
  return Uint8Array.from(name, (character) => character.charCodeAt(0));
}
