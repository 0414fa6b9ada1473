import type { ByteSink, Bytes, Digest, StringMap } from "./bytes.ts";

/** OCI platform: `linux`, `amd64` or `arm64`; variant `v7` and the like. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** OCI content descriptor. `size` in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: StringMap;
}

/** The part of an OCI image config that says how a container starts. Names as the specification spells them. */
export interface ImageConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: StringMap;
}

/** One immutable layer. `open("tar")` always works; `open("blob")` gives the stored compressed bytes where `blob` is set. Each call opens anew. */
export interface Layer {
  readonly diffId: Digest;
  readonly blob?: Descriptor | undefined;
  open(as: "tar" | "blob"): Bytes;
  /** The file of this machine that holds just what `open` gives, where there is one. It never changes, but it may go away. */
  file?(as: "tar" | "blob"): string | undefined;
}

/** The root filesystem a build starts from: an OCI image, composed before any engine sees it. Bottom layer first. */
export interface Environment {
  readonly platform: Platform;
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
}

/** One file or directory of the debug image's own top layer. */
export interface ImageFile {
  /** Relative to `/`, no leading slash: `.melange2/record.json`. Parents come before children. */
  readonly path: string;
  readonly kind: "file" | "directory";
  /** Permission bits. */
  readonly mode: number;
  /** Numeric; usually root. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Bytes; 0 for a directory. */
  readonly size: number;
  open(): Bytes;
}

/** What a debug image is, besides the snapshot below it. Holds no value of export time: the same spec on the same snapshot has the same image ID. */
export interface ImageSpec {
  readonly config: ImageConfig;
  readonly platform: Platform;
  readonly labels: StringMap;
  readonly annotations: StringMap;
  /** RFC 3339; the time of the failure. Also the mtime of `files`. */
  readonly created: string;
  /**
   * One line each for the layers that units left above the base, bottom first; the engine has its own words for the layer of `files`,
   * and for all of them where the counts differ. Never a script.
   */
  readonly history: readonly string[];
  readonly files: readonly ImageFile[];
}

export type Compression = "none" | "gzip" | "zstd";

/** How to talk TLS to a host; values are PEM texts. `plain`: http. */
export interface Tls {
  readonly plain?: boolean;
  readonly insecure?: boolean;
  readonly ca?: string;
}

/** Credentials for one repository and the named actions only; undefined: anonymous. */
export type CredentialsFor = (
  registry: string,
) => Promise<{ readonly username: string; readonly password: string } | { readonly identityToken: string } | undefined>;

/** Where an image goes, as plain data. Unknown kinds are answered undefined. */
export type Target =
  | {
      readonly kind: "archive";
      readonly format: "docker" | "oci";
      readonly compression: Compression;
      /** `name:tag` each; may be empty. */
      readonly names: readonly string[];
      readonly sink: ByteSink;
    }
  | {
      readonly kind: "registry";
      readonly reference: string;
      readonly transport: Tls;
      readonly credentials: CredentialsFor;
    }
  | { readonly kind: "docker-daemon"; readonly daemonId: string; readonly names: readonly string[] };

export interface Delivered {
  /** Digest of the image config. A daemon with the containerd image store shows the manifest's digest instead. */
  readonly imageId: Digest;
  readonly manifest?: Descriptor | undefined;
  /** Bytes moved to the destination by this delivery; 0 where nothing had to move, or the engine is not told. */
  readonly bytes: number;
}

/** A debug image as bytes here: manifest, config and layers. May spool to disk: dispose it. */
export interface LocalImage extends AsyncDisposable {
  readonly imageId: Digest;
  readonly config: Uint8Array;
  readonly annotations: StringMap;
  readonly layers: readonly Layer[];
}

export interface DeliverOptions {
  readonly signal: AbortSignal;
  /** Called with bytes moved so far and, where known, the total. */
  readonly onProgress?: ((done: number, total: number | undefined) => void) | undefined;
}

/** A snapshot and its spec. Describing it moved nothing. */
export interface DebugImage {
  readonly spec: ImageSpec;
  /** The engine puts it there itself, all or nothing. undefined: "not mine, take the bytes". Every engine claims `archive`. */
  deliver(target: Target, options: DeliverOptions): Promise<Delivered | undefined>;
  open(options: DeliverOptions): Promise<LocalImage>;
}
