import type { Bytes } from "./bytes.ts";
import type { SecretSource } from "./engine.ts";
import type { ImageFile } from "./image.ts";
import { searchNeedlesOf } from "./redaction.ts";

/** The absolute paths of those files that hold a secret's value, in one of its plain forms or as JSON writes them. */
export async function filesWithSecrets(files: readonly ImageFile[], secrets: SecretSource): Promise<readonly string[]> {
  const needles = new Set(
    secrets.names
      .flatMap((name) => searchNeedlesOf(secrets.get(name) ?? ""))
      .flatMap((needle) => [needle, JSON.stringify(needle).slice(1, -1)]),
  );
  const found: string[] = [];
  for (const file of files) {
    const text = await textOf(file.open());
    if ([...needles].some((needle) => text.includes(needle))) found.push(`/${file.path}`);
  }
  return found;
}

async function textOf(bytes: Bytes): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of bytes) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}
