import { collect, type Descriptor, type Digest, descriptorOf, digestOf, mediaTypes } from "@melange2/oci";
import { checkDigestHeader } from "./blob-upload.ts";
import { RegistryError } from "./error.ts";
import { fromOciError } from "./oci-errors.ts";
import { retry } from "./retry.ts";
import type { Session } from "./session.ts";
import type { HttpAnswer } from "./transport.ts";

/** A manifest or index as the registry stores it. */
export interface StoredManifest {
  readonly descriptor: Descriptor;
  readonly content: Uint8Array;
}

/** What the distribution specification has every registry accept; larger ones are refused here too. */
const largestManifest = 4 * 1024 * 1024;
const accepted = [mediaTypes.index, mediaTypes.manifest, mediaTypes.dockerManifestList, mediaTypes.dockerManifest].join(
  ", ",
);

/** Asked for by digest, the content is checked against it; by tag, against what the registry says its digest is. */
export async function getManifest(session: Session, repository: string, named: string): Promise<StoredManifest> {
  return retry(session.policy, async () => {
    const what = `manifest ${named} of ${session.registry}/${repository}`;
    const answer = await session.send({
      method: "GET",
      to: `${repository}/manifests/${named}`,
      scopes: [`repository:${repository}:pull`],
      headers: { accept: accepted },
      expect: [200],
      action: `give the manifest of ${name(repository, named)}`,
    });
    const content = await collect(answer.body, largestManifest, what).catch((error: unknown) => {
      throw fromOciError(error);
    });
    const digest = digestOf(content);
    for (const promised of [named.includes(":") ? named : undefined, answer.headers["docker-content-digest"]]) {
      if (promised === undefined || promised === digest) continue;
      throw new RegistryError("digest", `${what} should be ${String(promised).slice(0, 100)} but is ${digest}`, {
        hint: "The registry, or a proxy before it, changes content: do not use what it serves.",
      });
    }
    return { descriptor: descriptorOf(content, mediaTypeOf(content, answer)), content };
  });
}

/** The descriptor that the registry tells, without the content; undefined: there is no such manifest. */
export async function headManifest(
  session: Session,
  repository: string,
  named: string,
): Promise<Descriptor | undefined> {
  return retry(session.policy, async () => {
    const answer = await session.send({
      method: "HEAD",
      to: `${repository}/manifests/${named}`,
      scopes: [`repository:${repository}:pull`],
      headers: { accept: accepted },
      expect: [200, 404],
      action: `tell the digest of ${name(repository, named)}`,
    });
    answer.discard();
    if (answer.status === 404) return undefined;
    const digest = answer.headers["docker-content-digest"];
    const size = Number(answer.headers["content-length"]);
    if (typeof digest !== "string" || !/^sha256:[0-9a-f]{64}$/.test(digest) || !Number.isSafeInteger(size)) {
      // The header is optional: the content tells it all.
      return (await getManifest(session, repository, named)).descriptor;
    }
    return { mediaType: contentType(answer) ?? mediaTypes.manifest, digest: digest as Digest, size };
  });
}

/** `named`: a tag, or the manifest's digest. */
export async function putManifest(
  session: Session,
  repository: string,
  named: string,
  { descriptor, content }: StoredManifest,
): Promise<void> {
  await retry(session.policy, async () => {
    const answer = await session.send({
      method: "PUT",
      to: `${repository}/manifests/${named}`,
      scopes: [`repository:${repository}:pull,push`],
      headers: { "content-type": descriptor.mediaType },
      body: {
        size: content.length,
        open: async function* () {
          yield content;
        },
      },
      expect: [201],
      action: `take the manifest of ${name(repository, named)}`,
    });
    answer.discard();
    checkDigestHeader(answer, descriptor.digest);
  });
}

function mediaTypeOf(content: Uint8Array, answer: HttpAnswer): string {
  try {
    const { mediaType } = JSON.parse(new TextDecoder().decode(content)) as { mediaType?: unknown };
    if (typeof mediaType === "string") return mediaType;
  } catch {
    throw new RegistryError("protocol", `${answer.url.host} gave a manifest that is not JSON`, {
      hint: "This is no answer of an OCI registry: check host and port.",
    });
  }
  return contentType(answer) ?? mediaTypes.manifest;
}

function contentType(answer: HttpAnswer): string | undefined {
  return answer.headers["content-type"]?.split(";")[0]?.trim();
}

function name(repository: string, named: string): string {
  return named.includes(":") ? `${repository}@${named}` : `${repository}:${named}`;
}
