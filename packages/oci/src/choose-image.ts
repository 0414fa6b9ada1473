import { OciError } from "./error.ts";
import type { Image } from "./image.ts";
import { formatPlatform, type Platform, platformMatches } from "./platform.ts";
import { formatReference, parseReference } from "./reference.ts";

/** One of the images of a store, not read yet. */
export interface Candidate {
  readonly names: readonly string[];
  /** As the index says; the config has the last word. */
  readonly platform: Platform | undefined;
  read(): Promise<Image>;
}

export interface ImageChoice {
  /** A store without an image for it is refused. Needed where the store holds images for several platforms. */
  readonly platform?: Platform;
  /** `name:tag`, or the tag alone of an OCI layout. Needed where the store holds several images. */
  readonly name?: string;
}

/** The one image that fits. Throws `not-found`, `no-platform`, or `invalid` when several fit. */
export async function chooseImage(
  candidates: readonly Candidate[],
  choice: ImageChoice,
  where: string,
): Promise<Image> {
  const { name, platform } = choice;
  const named =
    name === undefined ? candidates : candidates.filter((one) => one.names.some((known) => sameName(known, name)));
  if (named.length === 0) {
    const known = candidates.flatMap((one) => one.names).join(", ") || "none with a name";
    throw new OciError(
      "not-found",
      `${where} holds no image${name === undefined ? "" : ` ${name}`}`,
      `The images in it: ${known}.`,
    );
  }
  const fitting = new Map<string, Image>();
  const offered = new Set<string>();
  for (const candidate of named) {
    // Not read where the index already says no: the other platforms' blobs need not be there.
    if (platform && candidate.platform && !platformMatches(candidate.platform, platform)) {
      offered.add(formatPlatform(candidate.platform));
      continue;
    }
    const image = await candidate.read();
    offered.add(formatPlatform(image.file.platform));
    if (!platform || platformMatches(image.file.platform, platform)) fitting.set(image.imageId, image);
  }
  const [image, another] = fitting.values();
  if (!image)
    throw new OciError(
      "no-platform",
      `${where} has no image for ${formatPlatform(platform as Platform)}, only for ${[...offered].join(", ")}`,
      "Use an image of the wanted platform, or build for the platform of the image.",
    );
  if (another)
    throw new OciError(
      "invalid",
      `${where} holds ${fitting.size} images that fit`,
      `Name a platform (${[...offered].join(", ")}) or one of: ${named.flatMap((one) => one.names).join(", ") || "none has a name"}.`,
    );
  return image;
}

function sameName(known: string, wanted: string): boolean {
  return known === wanted || (completeName(known) ?? known) === completeName(wanted);
}

function completeName(name: string): string | undefined {
  try {
    const reference = parseReference(name);
    return formatReference({ ...reference, tag: reference.tag ?? "latest" });
  } catch {
    return undefined; // a layout's names may be anything
  }
}
