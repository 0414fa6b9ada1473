import type { Blob, Bytes, Descriptor, Digest } from "@melange2/oci";
import { readBlob } from "./blob-download.ts";
import { type Arrival, blobExists, mountBlob, tryUpload, type UploadOptions, uploadBlob } from "./blob-upload.ts";
import { getManifest, headManifest, putManifest, type StoredManifest } from "./manifests.ts";
import type { Reference } from "./reference.ts";
import { retry } from "./retry.ts";
import { createSession, type SessionOptions } from "./session.ts";

/**
 * One repository of one registry, opened for one job. Calls may run at the same time; all of them reject with
 * {@link RegistryError}, or with the reason of the signal that the repository was opened with. Dispose it to close its connections.
 */
export interface Repository extends Disposable {
  readonly registry: string;
  readonly name: string;
  /** Whether a registry answers there and, if it asks for credentials at its door, takes these. */
  ping(): Promise<void>;
  /** Whether this repository may be pushed to: opens an upload and cancels it. */
  tryUpload(): Promise<void>;
  hasBlob(digest: Digest): Promise<boolean>;
  /** False: not mounted, for whatever reason. */
  mountBlob(digest: Digest, from: string): Promise<boolean>;
  /** Existing blobs are not sent. The source must give the same bytes each time it is opened. */
  uploadBlob(blob: Blob, options?: UploadOptions): Promise<Arrival>;
  /** Verified while it is read: the end of the stream means that digest and size are right. */
  readBlob(descriptor: Descriptor): Bytes;
  /** `named`: a tag or a digest. Verified. */
  getManifest(named: string): Promise<StoredManifest>;
  /** undefined: there is none. */
  headManifest(named: string): Promise<Descriptor | undefined>;
  putManifest(named: string, manifest: StoredManifest): Promise<void>;
}

/** Nothing is sent before the first call. */
export function openRepository(
  reference: Pick<Reference, "registry" | "repository">,
  options: SessionOptions,
): Repository {
  const session = createSession(reference.registry, options);
  const name = reference.repository;
  return {
    registry: reference.registry,
    name,
    ping: () =>
      retry(session.policy, async () => {
        const answer = await session.send({
          method: "GET",
          to: "",
          scopes: [],
          expect: [200],
          action: "answer as a registry",
        });
        answer.discard();
      }),
    tryUpload: () => tryUpload(session, name),
    hasBlob: (digest) => blobExists(session, name, digest),
    mountBlob: (digest, from) => mountBlob(session, name, digest, from),
    uploadBlob: (blob, upload) => uploadBlob(session, name, blob, upload),
    readBlob: (descriptor) => readBlob(session, name, descriptor),
    getManifest: (named) => getManifest(session, name, named),
    headManifest: (named) => headManifest(session, name, named),
    putManifest: (named, manifest) => putManifest(session, name, named, manifest),
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}
