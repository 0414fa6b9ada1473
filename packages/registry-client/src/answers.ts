import { collect } from "@melange2/oci";
import { RegistryError, type RegistryErrorCode } from "./error.ts";
import { retryAfter, Transient } from "./retry.ts";
import type { HttpAnswer } from "./transport.ts";

const largestErrorBody = 64 * 1024;
const longestQuote = 300;

/** What an unexpected answer is explained with. */
export interface Refusal {
  /** What was asked for, after "refused to": `push to team/debug`. */
  readonly action: string;
  /** Takes credentials out of a text. */
  readonly redact: (text: string) => string;
  readonly now: number;
  readonly hint?: string | undefined;
}

/** The error for an answer that was not hoped for: {@link Transient} where asking again may help. Consumes the answer's body. */
export async function refusal(answer: HttpAnswer, about: Refusal): Promise<RegistryError | Transient> {
  const { status } = answer;
  const said = await complaint(answer, about.redact);
  const quote = said === "" ? "" : `: ${said}`;
  const message = `${answer.url.host} did not ${about.action}: HTTP ${status}${quote}`;
  const error = (code: RegistryErrorCode, hint: string) =>
    new RegistryError(code, message, { hint: about.hint ?? hint, status });

  const wait = retryAfter(answer.headers["retry-after"], about.now);
  if (status === 429) {
    const later = wait === undefined ? "later" : `in ${Math.ceil(wait / 1000)} s`;
    return new Transient(error("rate-limited", `Try again ${later}, or log in for a higher limit.`), wait);
  }
  if (status === 408 || status >= 500) {
    const failure = error("unavailable", "The registry has a problem of its own: try again later.");
    // 501 and 505 say that it never will.
    return status === 501 || status === 505 ? failure : new Transient(failure, wait);
  }
  if (status === 401 || status === 403)
    return error("unauthorized", `Log in with \`docker login\`, with an account that may do this.`);
  if (status === 404)
    return error("not-found", "Check the name; some registries need the repository to be created first.");
  if (status < 400) return error("protocol", "This is no answer of an OCI registry: check host and port.");
  return error("rejected", "Check the reference and the registry's rules for this repository.");
}

/** What the registry says about its refusal, without credentials and control characters, or "". */
async function complaint(answer: HttpAnswer, redact: Refusal["redact"]): Promise<string> {
  let text: string;
  try {
    text = new TextDecoder().decode(await collect(answer.body, largestErrorBody, "the error answer"));
  } catch {
    return ""; // The status says enough; a broken error text is no error of its own.
  } finally {
    answer.discard();
  }
  const lines = errorsOf(text).map(({ code, message }) =>
    [code, message].filter((part) => typeof part === "string").join(" "),
  );
  // Cut last: a piece of a credential is not recognised any more.
  return redact(lines.join("; "))
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ")
    .slice(0, longestQuote);
}

function errorsOf(text: string): readonly { readonly code?: unknown; readonly message?: unknown }[] {
  try {
    const { errors } = JSON.parse(text) as { errors?: unknown };
    return Array.isArray(errors) ? errors.filter((entry) => typeof entry === "object" && entry !== null) : [];
  } catch {
    return [];
  }
}
