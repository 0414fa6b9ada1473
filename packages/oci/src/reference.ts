import { type Digest, isDigest } from "./digest.ts";
import { OciError } from "./error.ts";

/** A name of an image, complete: `docker.io/library/debian:12`. */
export interface Reference {
  /** Host and port: `docker.io`, `registry.example.com:5000`. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const repositoryPattern = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*$/;
const registryPattern =
  /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::[0-9]{1,5})?$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** Reads a name as Docker does: without a host it belongs to docker.io. No default tag is added. Throws `invalid`. */
export function parseReference(text: string): Reference {
  const [named = "", digest, ...rest] = text.split("@");
  if (rest.length > 0 || (digest !== undefined && !isDigest(digest)))
    throw invalid(text, "its digest is no sha256 digest");
  const colon = named.lastIndexOf(":");
  const tagged = colon > named.lastIndexOf("/");
  const tag = tagged ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) throw invalid(text, `${JSON.stringify(tag)} is no tag`);
  const name = tagged ? named.slice(0, colon) : named;
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hosted = /[.:[]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const registry = hosted ? (first === "index.docker.io" ? "docker.io" : first) : "docker.io";
  const path = hosted ? name.slice(slash + 1) : name;
  const repository = registry === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  if (!registryPattern.test(registry)) throw invalid(text, `${JSON.stringify(registry)} is no registry host`);
  if (!repositoryPattern.test(repository) || repository.length > 255)
    throw invalid(text, "the repository may hold lowercase letters, digits and single separators . _ - /");
  return { registry, repository, ...(tag ? { tag } : {}), ...(digest ? { digest: digest as Digest } : {}) };
}

/** The complete name: `docker.io/library/debian:12`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag ? `:${reference.tag}` : "";
  const digest = reference.digest ? `@${reference.digest}` : "";
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

/** The short form that Docker shows: `debian:12`. */
export function familiarReference(reference: Reference): string {
  const full = formatReference(reference);
  if (reference.registry !== "docker.io") return full;
  const path = full.slice("docker.io/".length);
  return path.startsWith("library/") ? path.slice("library/".length) : path;
}

function invalid(text: string, why: string): OciError {
  return new OciError(
    "invalid",
    `${JSON.stringify(text)} is no image name: ${why}`,
    "Use a form like debug:latest or registry.example.com/team/debug:1.0.",
  );
}
