import type { SecretSource } from "./engine.ts";

const mask = "***";

/** Secrets shorter than this are neither masked nor searched for: they would be found everywhere. */
export const shortestSecret = 4;

/**
 * The forms in which a secret's value betrays itself in plain text: as it is, URL-encoded, in base64 (also where it stands
 * in the middle of a longer base64 text, at each of the three alignments). Without duplicates, longest first.
 */
export function needlesOf(value: string): readonly string[] {
  if (value.length < shortestSecret) return [];
  const bytes = new TextEncoder().encode(value);
  const forms = new Set<string>([value, encodeURIComponent(value)]);
  for (const skip of [0, 1, 2]) {
    const text = innerBase64(bytes, skip);
    if (text.length >= shortestSecret + 2) {
      forms.add(text);
      forms.add(text.replaceAll("+", "-").replaceAll("/", "_"));
    }
  }
  return [...forms].sort((a, b) => b.length - a.length);
}

/** The base64 characters that depend on these bytes alone when `skip` unknown bytes stand before them. */
function innerBase64(bytes: Uint8Array, skip: number): string {
  const padded = new Uint8Array(skip + bytes.length);
  padded.set(bytes, skip);
  const text = btoa(String.fromCharCode(...padded)).replaceAll("=", "");
  const first = Math.ceil((skip * 8) / 6);
  const last = Math.floor(((skip + bytes.length) * 8) / 6);
  return text.slice(first, last);
}

/** Replaces every form of every secret in a text. */
export type Redact = (text: string) => string;

export function redactor(secrets: SecretSource): Redact {
  const needles = secrets.names
    .flatMap((name) => needlesOf(secrets.get(name) ?? ""))
    .sort((a, b) => b.length - a.length);
  if (needles.length === 0) return (text) => text;
  return (text) => needles.reduce((result, needle) => result.replaceAll(needle, mask), text);
}

const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const escapes =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])/g;

/** A log line as it may be shown: without terminal escapes and control characters other than tab. */
export function printable(line: string): string {
  return line.replace(escapes, "").replace(controls, "");
}
