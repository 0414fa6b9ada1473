import type { SecretSource } from "./engine.ts";
import type { ImageFile } from "./image.ts";
import { matcherOf } from "./redaction.ts";
import { secretScan } from "./secret-matcher.ts";

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
