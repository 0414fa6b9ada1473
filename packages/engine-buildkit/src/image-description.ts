import type { ImageSpec } from "@melange2/core";
import { baseHistory } from "./base-image.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";

/** The image config that exporters are handed; they put in the layers themselves. Every layer has its line, or they would tell its script. */
export function imageConfigOf(at: BuildkitSnapshot, spec: ImageSpec): string {
  const { platform, config, labels, created } = spec;
  const all = { ...config.Labels, ...labels };
  return JSON.stringify({
    created,
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    os: platform.os,
    config: { ...config, ...(Object.keys(all).length === 0 ? {} : { Labels: all }) },
    rootfs: { type: "layers", diff_ids: [] },
    history: historyOf(at, spec).map((line) => ({ created, created_by: line })),
  });
}

function historyOf(at: BuildkitSnapshot, spec: ImageSpec): readonly string[] {
  const own = spec.files.length > 0 ? ["melange2: the failure record"] : [];
  const words = Array.from({ length: at.units }, (_, index) => `step ${index + 1}`);
  const units = spec.history.length === at.units ? spec.history : words;
  return [...baseHistory(at.base.layers.length), ...units, ...own];
}
