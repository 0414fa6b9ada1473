import type { SecretSource } from "./engine.ts";
import { type SecretMatcher, secretMatcher } from "./secret-matcher.ts";
import { longestIndent } from "./secret-patterns.ts";

const mask = "***";
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Replaces every form of every secret in a text. */
export type Redact = (text: string) => string;

export function redactor(secrets: SecretSource): Redact {
  const matcher = matcherOf(secrets);
  return (text) => {
    if (matcher.longest === 0) return text;
    return decoder.decode(redacted(encoder.encode(text), 0, matcher, true).shown);
  };
}

/** Finds the secrets of a source, in every form. */
export function matcherOf(secrets: SecretSource): SecretMatcher {
  return secretMatcher(secrets.names.map((name) => secrets.get(name) ?? ""));
}

/**
 * Redacts the bytes from `begin` on. `held`: where a secret may have begun that goes on behind the bytes' end; the bytes' end where nothing
 * follows.
 */
function redacted(
  bytes: Uint8Array,
  begin: number,
  matcher: SecretMatcher,
  complete: boolean,
): { readonly shown: Uint8Array; readonly held: number } {
  const parts: Uint8Array[] = [];
  let from = begin;
  let held = bytes.length;
  for (
    let found = matcher.find(bytes, from, complete);
    found !== undefined;
    found = matcher.find(bytes, from, complete)
  ) {
    if (found.end === undefined) {
      held = found.start;
      break;
    }
    parts.push(bytes.subarray(from, found.start), encoder.encode(mask));
    from = found.end;
  }
  if (parts.length === 0) return { shown: bytes.subarray(begin, held), held };
  parts.push(bytes.subarray(from, held));
  const shown = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    shown.set(part, at);
    at += part.length;
  }
  return { shown, held };
}

/** Redacts a text that comes in pieces, wherever the pieces are cut. */
export interface StreamRedactor {
  /** What can be shown now. The end of the text is held back while it could be the beginning of a secret. */
  write(piece: string): string;
  /** What was held back. */
  end(): string;
}

export function streamRedactor(matcher: SecretMatcher): StreamRedactor {
  // What was shown last, by which some forms are known, and behind it what is held back.
  let kept: Uint8Array = new Uint8Array(0);
  let begin = 0;
  const take = (piece: string, complete: boolean): string => {
    const fresh = encoder.encode(piece);
    const bytes = new Uint8Array(kept.length + fresh.length);
    bytes.set(kept);
    bytes.set(fresh, kept.length);
    const { shown, held } = redacted(bytes, begin, matcher, complete);
    begin = Math.min(held, longestIndent + 1);
    kept = bytes.slice(held - begin);
    return decoder.decode(shown);
  };
  return {
    write: (piece) => (matcher.longest === 0 ? piece : take(piece, false)),
    end: () => (kept.length === begin ? "" : take("", true)),
  };
}

const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
// CSI, OSC, then DCS and its like, each begun by two characters or by the one C1 character that stands for them.
const escapes =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b\]|\u009d)[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?|(?:\u001b[PX^_]|[\u0090\u0098\u009e\u009f])[^\u001b\u009c\n]*(?:\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g;

/**
 * A log line as it may be shown: without terminal escapes and control characters other than tab. Where carriage returns had a terminal write over
 * the line again and again, it is what was written last.
 */
export function printable(line: string): string {
  const texts = line.split("\r").map((text) => text.replace(escapes, "").replace(controls, ""));
  return texts.findLast((text) => text !== "") ?? "";
}
