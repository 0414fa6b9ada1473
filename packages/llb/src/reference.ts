import { LlbError } from "./error.ts";

/**
 * Completes an image name as Docker does: `alpine` is `docker.io/library/alpine:latest`. The daemon itself takes only
 * complete ones.
 */
export function normalizeReference(reference: string): string {
  if (!/^[\w.:/@-]+$/.test(reference)) {
    throw new LlbError(
      "image",
      `"${reference}" is not an image reference`,
      "Write it as host/name:tag or name@sha256:….",
    );
  }
  const [name = "", digest] = reference.split("@", 2);
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  const hosted = first.includes(".") || first.includes(":") || first === "localhost";
  const host = hosted ? first : "docker.io";
  const path = hosted ? name.slice(slash + 1) : name;
  const full = host === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  if (digest !== undefined) return `${host}/${full}@${digest}`;
  return `${host}/${full}${full.includes(":") ? "" : ":latest"}`;
}
