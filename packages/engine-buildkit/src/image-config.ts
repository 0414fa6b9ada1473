import type { ImageSpec } from "@melange2/core";

/** The image config that exporters are handed; they put in the layers themselves. */
export function imageConfigOf({ platform, config, labels, created }: ImageSpec, history: readonly string[]): string {
  const all = { ...config.Labels, ...labels };
  return JSON.stringify({
    created,
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    os: platform.os,
    config: { ...config, ...(Object.keys(all).length === 0 ? {} : { Labels: all }) },
    rootfs: { type: "layers", diff_ids: [] },
    history: history.map((line) => ({ created, created_by: line })),
  });
}
