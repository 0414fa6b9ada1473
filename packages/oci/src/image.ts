import type { StringMap } from "./bytes.ts";
import type { Descriptor } from "./descriptor.ts";
import type { Digest } from "./digest.ts";
import type { ImageFile } from "./image-config.ts";
import type { Layer } from "./layer.ts";

/** The forms in which images are kept in files. */
export type ImageForm = "oci-layout" | "oci-archive" | "docker-archive";

/** An image that can be read: metadata at hand, layers opened when they are asked for, every byte verified on its way. */
export interface Image {
  /** Digest of `config`. */
  readonly imageId: Digest;
  readonly config: Uint8Array;
  /** `config`, parsed. */
  readonly file: ImageFile;
  /** As many as the config has diff IDs, bottom first. */
  readonly layers: readonly Layer[];
  /** Docker archives have none. */
  readonly manifest?: { readonly descriptor: Descriptor; readonly content: Uint8Array };
  /** Of the manifest. */
  readonly annotations: StringMap;
}
