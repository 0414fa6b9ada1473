import { type RegistryRequest, type Reply, refuse, reply } from "./exchange.ts";
import { type StoredRepository, sha256 } from "./store.ts";

const largestManifest = 4 * 1024 * 1024;

/** `GET`, `HEAD`, `PUT` and `DELETE` of `/v2/<name>/manifests/<tag or digest>`. */
export async function manifestRoute(
  request: RegistryRequest,
  repository: StoredRepository,
  name: string,
  reference: string,
): Promise<Reply> {
  if (request.method === "PUT") return put(request, repository, name, reference);
  const digest = repository.tags.get(reference) ?? reference;
  const manifest = repository.manifests.get(digest);
  if (manifest === undefined) return refuse(404, "MANIFEST_UNKNOWN", "manifest unknown to registry");
  if (request.method === "DELETE") {
    if (reference !== digest) {
      repository.tags.delete(reference);
    } else {
      repository.manifests.delete(digest);
      for (const [tag, target] of repository.tags) if (target === digest) repository.tags.delete(tag);
    }
    return reply(202);
  }
  return reply(200, { "content-type": manifest.mediaType, "docker-content-digest": digest }, manifest.content);
}

async function put(
  request: RegistryRequest,
  repository: StoredRepository,
  name: string,
  reference: string,
): Promise<Reply> {
  const content = await request.body();
  if (content.length > largestManifest) return refuse(413, "SIZE_INVALID", "the manifest is too large");
  const digest = sha256(content);
  if (reference.includes(":") && reference !== digest) {
    return refuse(400, "DIGEST_INVALID", "the digest is not that of the content");
  }
  const manifest = parse(content);
  if (manifest === undefined) return refuse(400, "MANIFEST_INVALID", "the manifest is not a JSON object");
  const missing = manifest.references.find(
    (wanted) => !repository.blobs.has(wanted) && !repository.manifests.has(wanted),
  );
  if (missing !== undefined)
    return refuse(404, "MANIFEST_BLOB_UNKNOWN", `the manifest names ${missing}, which is not here`);
  const mediaType = request.headers["content-type"] ?? manifest.mediaType ?? "";
  repository.manifests.set(digest, { mediaType, content });
  if (reference !== digest) repository.tags.set(reference, digest);
  return reply(201, {
    location: `/v2/${name}/manifests/${digest}`,
    "docker-content-digest": digest,
  });
}

interface ParsedManifest {
  readonly mediaType: string | undefined;
  /** Digests of all that must be there before the manifest. */
  readonly references: readonly string[];
}

interface Descriptor {
  readonly mediaType?: string;
  readonly digest?: string;
}

function parse(content: Buffer): ParsedManifest | undefined {
  try {
    const json = JSON.parse(content.toString("utf8")) as {
      mediaType?: string;
      config?: Descriptor;
      layers?: Descriptor[];
      manifests?: Descriptor[];
    };
    const named = [...(json.config ? [json.config] : []), ...(json.layers ?? []), ...(json.manifests ?? [])];
    // Layers that must not be distributed stay where their URLs say.
    const required = named.filter(({ mediaType = "" }) => !/nondistributable|foreign/.test(mediaType));
    return { mediaType: json.mediaType, references: required.flatMap(({ digest }) => (digest ? [digest] : [])) };
  } catch {
    return undefined;
  }
}

/** `GET` of `/v2/<name>/tags/list`, in pages by `n` and `last`. */
export function tagsRoute(request: RegistryRequest, repository: StoredRepository, name: string): Reply {
  if (repository.tags.size === 0 && repository.manifests.size === 0) {
    return refuse(404, "NAME_UNKNOWN", "repository name not known to registry");
  }
  const last = request.query.get("last") ?? "";
  const after = [...repository.tags.keys()].sort().filter((tag) => tag > last);
  const limit = request.query.get("n");
  const tags = limit === null ? after : after.slice(0, Number(limit));
  const rest = tags.length < after.length && tags.length > 0;
  return reply(
    200,
    {
      "content-type": "application/json",
      link: rest ? `</v2/${name}/tags/list?n=${limit}&last=${tags.at(-1)}>; rel="next"` : undefined,
    },
    Buffer.from(JSON.stringify({ name, tags })),
  );
}
