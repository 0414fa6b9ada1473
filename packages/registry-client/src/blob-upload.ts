import type { Blob, Digest } from "@melange2/oci";
import { createBlobReader } from "./blob-reader.ts";
import { isRegistryError, RegistryError } from "./error.ts";
import { retry, Transient } from "./retry.ts";
import type { Session } from "./session.ts";
import type { HttpAnswer } from "./transport.ts";

/** How a blob came to be in the repository. */
export type Arrival = "existed" | "mounted" | "uploaded";

export interface UploadOptions {
  /** Repositories of the same registry that may hold the blob: it is mounted from the first that does. */
  readonly mountFrom?: readonly string[] | undefined;
  /** Bytes of this blob sent so far; falls back when a part has to be sent again. */
  readonly onProgress?: ((sent: number) => void) | undefined;
  /** "whole" sends one request and changes to chunks when that breaks; "chunks" starts with them. Default "whole". */
  readonly mode?: "whole" | "chunks" | undefined;
  /** Bytes in a chunk; default 16 MiB, more where the registry asks for it. */
  readonly chunkSize?: number | undefined;
}

/** An upload session at the registry, and how much of the blob it has. */
interface Upload {
  readonly location: URL;
  readonly offset: number;
  readonly smallestChunk: number;
}

const defaultChunk = 16 * 1024 * 1024;
const pullPush = (repository: string): string => `repository:${repository}:pull,push`;

export async function blobExists(session: Session, repository: string, digest: Digest): Promise<boolean> {
  return retry(session.policy, async () => {
    const answer = await session.send({
      method: "HEAD",
      to: `${repository}/blobs/${digest}`,
      scopes: [pullPush(repository)],
      expect: [200, 404],
      action: `tell whether ${repository} has the blob ${digest}`,
    });
    answer.discard();
    return answer.status === 200;
  });
}

/**
 * Brings a blob into the repository: not at all where it exists, by mount where another repository has it, else by upload.
 * A broken upload continues where it stopped if the registry can, else the blob's source is opened again.
 */
export async function uploadBlob(
  session: Session,
  repository: string,
  blob: Blob,
  options: UploadOptions = {},
): Promise<Arrival> {
  if (await blobExists(session, repository, blob.descriptor.digest)) return "existed";
  for (const from of options.mountFrom ?? []) {
    if (from !== repository && (await mountBlob(session, repository, blob.descriptor.digest, from))) return "mounted";
  }
  return send(session, repository, blob, options);
}

/** False: the registry does not mount it, for whatever reason. An upload that it opened instead is cancelled. */
export async function mountBlob(session: Session, repository: string, digest: Digest, from: string): Promise<boolean> {
  try {
    return await retry(session.policy, async () => {
      const answer = await session.send({
        method: "POST",
        to: `${repository}/blobs/uploads/?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`,
        scopes: [pullPush(repository), `repository:${from}:pull`],
        headers: { "content-length": "0" },
        expect: [201, 202],
        action: `mount a blob of ${from}`,
      });
      answer.discard();
      if (answer.status === 201) return true;
      await cancelUpload(session, repository, session.locationOf(answer));
      return false;
    });
  } catch (error) {
    if (!isRegistryError(error)) throw error;
    return false; // The upload that follows says what is wrong, if anything is.
  }
}

/** Opens an upload and cancels it: whoever can do that can push. */
export async function tryUpload(session: Session, repository: string): Promise<void> {
  await retry(session.policy, async () => {
    const { location } = await beginUpload(session, repository);
    await cancelUpload(session, repository, location);
  });
}

async function send(
  session: Session,
  repository: string,
  blob: Blob,
  options: UploadOptions,
): Promise<"existed" | "uploaded"> {
  const { digest, size } = blob.descriptor;
  const chunkSize = options.chunkSize ?? defaultChunk;
  let mode = options.mode ?? "whole";
  let upload: Upload | undefined;
  let attempted = false;
  await using reader = createBlobReader(() => blob.open());

  const body = (start: number, length: number) => ({
    size: length,
    open: async function* () {
      let sent = start;
      options.onProgress?.(sent);
      for await (const chunk of reader.slice(start, length)) {
        yield chunk;
        sent += chunk.length;
        options.onProgress?.(sent);
      }
    },
  });

  return retry(session.policy, async (patience) => {
    // The answer to a last request may have been lost after the registry had acted on it.
    if (attempted && (await blobExists(session, repository, digest))) return "existed";
    attempted = true;
    upload = upload === undefined ? undefined : await resume(session, repository, upload, size);
    upload ??= await beginUpload(session, repository);
    if (mode === "whole") {
      const { location } = upload;
      upload = undefined;
      try {
        await finishUpload(session, repository, location, digest, body(0, size));
      } catch (error) {
        // Too much at once for this registry or for this connection.
        const tooMuch = isRegistryError(error) && error.status === 413;
        if (tooMuch || (error instanceof Transient && error.failure.status === undefined && size > chunkSize))
          mode = "chunks";
        throw tooMuch ? new Transient(error, 0) : error;
      }
      return "uploaded";
    }
    while (upload.offset < size) {
      const length = Math.min(Math.max(chunkSize, upload.smallestChunk), size - upload.offset);
      try {
        upload = await sendChunk(session, repository, upload, body(upload.offset, length));
      } catch (error) {
        // Some registries take a blob only whole.
        if (!isRegistryError(error) || ![405, 501].includes(error.status ?? 0)) throw error;
        mode = "whole";
        upload = undefined;
        throw new Transient(error, 0);
      }
      patience.progressed();
    }
    await finishUpload(session, repository, upload.location, digest);
    return "uploaded";
  });
}

async function beginUpload(session: Session, repository: string): Promise<Upload> {
  const answer = await session.send({
    method: "POST",
    to: `${repository}/blobs/uploads/`,
    scopes: [pullPush(repository)],
    headers: { "content-length": "0" },
    expect: [202],
    action: `accept an upload to ${repository}`,
  });
  answer.discard();
  const smallest = Number(answer.headers["oci-chunk-min-length"] ?? 0);
  return {
    location: session.locationOf(answer),
    offset: 0,
    smallestChunk: Number.isSafeInteger(smallest) && smallest > 0 ? smallest : 0,
  };
}

async function sendChunk(
  session: Session,
  repository: string,
  upload: Upload,
  body: NonNullable<Parameters<Session["send"]>[0]["body"]>,
): Promise<Upload> {
  const end = upload.offset + body.size;
  const answer = await session.send({
    method: "PATCH",
    to: upload.location,
    scopes: [pullPush(repository)],
    headers: { "content-type": "application/octet-stream", "content-range": `${upload.offset}-${end - 1}` },
    body,
    expect: [202, 404, 416],
    action: `take a part of a blob for ${repository}`,
  });
  answer.discard();
  if (answer.status === 404) throw new Transient(uploadLost(answer));
  if (answer.status === 416) throw outOfStep(answer);
  const offset = answer.headers.range === undefined ? end : received(answer);
  if (offset === undefined || offset <= upload.offset || offset > end) throw outOfStep(answer);
  return { ...upload, location: session.locationOf(answer), offset };
}

/** The upload as the registry has it now; undefined when it has to begin anew. */
async function resume(session: Session, repository: string, upload: Upload, size: number): Promise<Upload | undefined> {
  try {
    const answer = await session.send({
      method: "GET",
      to: upload.location,
      scopes: [pullPush(repository)],
      expect: [204],
      action: `tell the state of an upload to ${repository}`,
    });
    answer.discard();
    const offset = received(answer);
    if (offset === undefined || offset > size) return undefined;
    const location = answer.headers.location === undefined ? upload.location : session.locationOf(answer);
    return { ...upload, location, offset };
  } catch (error) {
    // Whatever speaks against this upload, a new one shows whether it was only that.
    if (isRegistryError(error)) return undefined;
    throw error;
  }
}

async function finishUpload(
  session: Session,
  repository: string,
  location: URL,
  digest: Digest,
  body?: Parameters<Session["send"]>[0]["body"],
): Promise<void> {
  const url = new URL(location);
  // Appended by hand: the registry's own part of the query must come back exactly as it was.
  url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  const answer = await session.send({
    method: "PUT",
    to: url,
    scopes: [pullPush(repository)],
    headers: body === undefined ? { "content-length": "0" } : { "content-type": "application/octet-stream" },
    body,
    expect: [201, 404],
    action: `take the blob ${digest} for ${repository}`,
  });
  answer.discard();
  if (answer.status === 404) throw new Transient(uploadLost(answer));
  checkDigestHeader(answer, digest);
}

/** Best effort: a registry drops uploads that are not finished anyway, and some cannot cancel. */
async function cancelUpload(session: Session, repository: string, location: URL): Promise<void> {
  try {
    const answer = await session.send({
      method: "DELETE",
      to: location,
      scopes: [pullPush(repository)],
      expect: [204],
      action: `cancel an upload to ${repository}`,
    });
    answer.discard();
  } catch (error) {
    if (!isRegistryError(error) && !(error instanceof Transient)) throw error;
  }
}

/** How many bytes the registry says it has. "0-0" is said for none as well as for one: undefined, as for nonsense. */
function received(answer: HttpAnswer): number | undefined {
  const last = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers.range ?? "")?.[1];
  return last === undefined || Number(last) === 0 ? undefined : Number(last) + 1;
}

/** A registry that names another digest than ours stored something else. */
export function checkDigestHeader(answer: HttpAnswer, digest: Digest): void {
  const named = answer.headers["docker-content-digest"];
  if (named === undefined || named === digest) return;
  throw new RegistryError("digest", `${answer.url.host} stored ${digest} as ${String(named).slice(0, 100)}`, {
    hint: "The registry, or a proxy before it, changes content: do not use what it serves.",
  });
}

function outOfStep(answer: HttpAnswer): Transient {
  return new Transient(
    new RegistryError("protocol", `${answer.url.host} lost count of a blob's parts`, {
      hint: "The registry, or a proxy before it, does not handle uploads in parts well: try again later.",
      status: answer.status,
    }),
  );
}

function uploadLost(answer: HttpAnswer): RegistryError {
  return new RegistryError("unavailable", `${answer.url.host} forgot an upload that was under way`, {
    hint: "Try again; if it stays so, the registry's storage has a problem.",
    status: answer.status,
  });
}
