import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { MelangeError } from "@melange2/core";

/** The PEM text in a file, which must hold a certificate. Rejects with code `usage`. */
export async function readAuthority(path: string, cwd: string): Promise<string> {
  const full = resolve(cwd, path);
  const wrong = (why: string, cause: unknown) =>
    new MelangeError("usage", `--export-ca: ${full} ${why}`, {
      hint: "Give the PEM file of the certificate authority; it begins with -----BEGIN CERTIFICATE-----.",
      cause,
    });
  let text: string;
  try {
    text = await readFile(full, "utf8");
  } catch (error) {
    throw wrong(`cannot be read (${(error as { code?: string }).code})`, error);
  }
  try {
    new X509Certificate(text);
  } catch (error) {
    throw wrong("holds no certificate", error);
  }
  return text;
}
