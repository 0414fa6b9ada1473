import { type RegistryRequest, type Reply, refuse, reply } from "./exchange.ts";
import { newUpload, type Store, type StoredRepository, sha256, type Upload } from "./store.ts";

/** `GET`, `HEAD` and `DELETE` of `/v2/<name>/blobs/<digest>`. */
export async function blobRoute(
  request: RegistryRequest,
  repository: StoredRepository,
  digest: string,
): Promise<Reply> {
  const blob = repository.blobs.get(digest);
  if (blob === undefined) return refuse(404, "BLOB_UNKNOWN", "blob unknown to registry");
  if (request.method === "DELETE") {
    repository.blobs.delete(digest);
    return reply(202);
  }
  const headers = {
    "content-type": "application/octet-stream",
    "docker-content-digest": digest,
    "accept-ranges": "bytes",
  };
  const range = request.method === "GET" ? request.headers.range : undefined;
  if (range === undefined) return reply(200, headers, blob);
  const part = parseRange(range, blob.length);
  if (part === undefined) {
    return refuse(416, "RANGE_INVALID", "no such range", { "content-range": `bytes */${blob.length}` });
  }
  const contentRange = `bytes ${part.start}-${part.end - 1}/${blob.length}`;
  return reply(206, { ...headers, "content-range": contentRange }, blob.subarray(part.start, part.end));
}

function parseRange(range: string, size: number): { readonly start: number; readonly end: number } | undefined {
  const [, from = "", to = ""] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
  if (from === "" && to === "") return undefined;
  const start = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
  return start < end ? { start, end } : undefined;
}

/** `POST` of `/v2/<name>/blobs/uploads/`: a mount, a blob in one request, or a new upload. */
export async function openUpload(
  request: RegistryRequest,
  store: Store,
  name: string,
  mayMount: (from: string) => boolean,
): Promise<Reply> {
  const repository = store.repository(name);
  const { query } = request;
  const mount = query.get("mount");
  if (mount !== null) {
    const from = query.get("from");
    const source =
      from === null ? store.findBlob(mount) : mayMount(from) ? store.repository(from).blobs.get(mount) : undefined;
    if (source !== undefined) {
      repository.blobs.set(mount, source);
      return created(name, mount);
    }
  }
  const digest = query.get("digest");
  if (digest !== null) return keep(repository, name, digest, await request.body());
  const upload = newUpload();
  repository.uploads.set(upload.id, upload);
  return progressOf(202, name, upload);
}

/** `GET`, `PATCH`, `PUT` and `DELETE` of `/v2/<name>/blobs/uploads/<id>`. */
export async function uploadRoute(request: RegistryRequest, store: Store, name: string, id: string): Promise<Reply> {
  const repository = store.repository(name);
  const upload = repository.uploads.get(id);
  if (upload === undefined) return refuse(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
  switch (request.method) {
    case "GET":
      return progressOf(204, name, upload);
    case "DELETE":
      repository.uploads.delete(id);
      return reply(204);
    case "PATCH": {
      const content = await request.body();
      if (!continues(request, upload, content.length)) return progressOf(416, name, upload);
      append(upload, content);
      return progressOf(202, name, upload);
    }
    case "PUT": {
      const content = await request.body();
      if (!continues(request, upload, content.length)) return progressOf(416, name, upload);
      const digest = request.query.get("digest");
      if (digest === null) return refuse(400, "DIGEST_INVALID", "the digest is missing");
      append(upload, content);
      repository.uploads.delete(id);
      return keep(repository, name, digest, Buffer.concat(upload.chunks));
    }
    default:
      return refuse(405, "UNSUPPORTED", "the operation is unsupported");
  }
}

function continues(request: RegistryRequest, upload: Upload, length: number): boolean {
  const range = request.headers["content-range"];
  if (range === undefined || length === 0) return true;
  const [, start, end] = /^(?:bytes[ =])?(\d+)-(\d+)/.exec(range) ?? [];
  return Number(start) === upload.size && Number(end) === upload.size + length - 1;
}

function append(upload: Upload, content: Buffer): void {
  upload.chunks.push(content);
  upload.size += content.length;
}

function keep(repository: StoredRepository, name: string, digest: string, content: Buffer): Reply {
  if (sha256(content) !== digest) return refuse(400, "DIGEST_INVALID", "the digest is not that of the content");
  repository.blobs.set(digest, content);
  return created(name, digest);
}

function created(name: string, digest: string): Reply {
  return reply(201, { location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest });
}

function progressOf(status: number, name: string, upload: Upload): Reply {
  return reply(status, {
    location: `/v2/${name}/blobs/uploads/${upload.id}`,
    "docker-upload-uuid": upload.id,
    range: `0-${Math.max(0, upload.size - 1)}`,
  });
}
