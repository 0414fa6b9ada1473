import { createHash, randomUUID } from "node:crypto";

export interface StoredManifest {
  readonly mediaType: string;
  readonly content: Buffer;
}

/** An upload under way. */
export interface Upload {
  readonly id: string;
  readonly chunks: Buffer[];
  size: number;
}

/** What one repository holds. Blobs that another one holds too are only linked. */
export interface StoredRepository {
  readonly blobs: Map<string, Buffer>;
  readonly manifests: Map<string, StoredManifest>;
  readonly tags: Map<string, string>;
  readonly uploads: Map<string, Upload>;
}

/** Everything a registry holds, in memory. Repositories come into being when they are first named. */
export interface Store {
  repository(name: string): StoredRepository;
  /** Any repository's copy of a blob. */
  findBlob(digest: string): Buffer | undefined;
  /** Drops all uploads that are not finished, as a restart does. */
  forgetUploads(): void;
}

export function createStore(): Store {
  const repositories = new Map<string, StoredRepository>();
  return {
    repository(name) {
      let repository = repositories.get(name);
      if (repository === undefined) {
        repository = { blobs: new Map(), manifests: new Map(), tags: new Map(), uploads: new Map() };
        repositories.set(name, repository);
      }
      return repository;
    },
    findBlob(digest) {
      for (const { blobs } of repositories.values()) {
        const blob = blobs.get(digest);
        if (blob !== undefined) return blob;
      }
      return undefined;
    },
    forgetUploads() {
      for (const { uploads } of repositories.values()) uploads.clear();
    },
  };
}

export function newUpload(): Upload {
  return { id: randomUUID(), chunks: [], size: 0 };
}

export function sha256(content: Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
