import { LlbError } from "./error.ts";

const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const host = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9A-Fa-f:]+\\])(?::[0-9]+)?$`);
const word = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const image = new RegExp(
  `^(${word}(?:/${word})*)(?::(\\w[\\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$`,
);
const longestPath = 255;

/**
 * Completes an image name as Docker does: `alpine` is `docker.io/library/alpine:latest`. The daemon itself takes only
 * complete ones. Throws an LlbError for what is no image's name.
 */
export function normalizeReference(reference: string): string {
  return completeReference("image", reference);
}

export function completeReference(where: string, reference: string): string {
  const [given, rest] = splitHost(reference);
  const [, name = "", tag, digest] = image.exec(rest) ?? [];
  const hosted = given === undefined || given === "index.docker.io" ? "docker.io" : given;
  const path = hosted === "docker.io" && !name.includes("/") ? `library/${name}` : name;
  if (name === "" || path.length > longestPath || !host.test(hosted)) {
    throw new LlbError(
      where,
      `"${reference}" is not an image reference`,
      "Write it as host/name:tag or name@sha256: and 64 hex digits, the name in lower case.",
    );
  }
  const tagged = tag ?? (digest === undefined ? "latest" : undefined);
  return `${hosted}/${path}${tagged === undefined ? "" : `:${tagged}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** What stands before the first slash is a host if it cannot be a part of a name on Docker Hub. */
function splitHost(reference: string): readonly [host: string | undefined, rest: string] {
  const slash = reference.indexOf("/");
  const first = reference.slice(0, Math.max(slash, 0));
  return /[.:A-Z]/.test(first) || first === "localhost" ? [first, reference.slice(slash + 1)] : [undefined, reference];
}
