import { type JsonObject, object, optional, string } from "./json-shape.ts";

/** OCI platform: `linux`, `amd64` or `arm64`; variant `v7` and the like. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export function parsePlatform(value: unknown, what: string): Platform {
  const json: JsonObject = object(value, what);
  return {
    os: string(json.os, `${what}.os`),
    architecture: string(json.architecture, `${what}.architecture`),
    ...variantOf(json, what),
  };
}

/** `linux/arm/v7` */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, ...(platform.variant ? [platform.variant] : [])].join("/");
}

/** Whether an image for `offered` is one for `wanted`. A variant counts only where both name one; arm64 is always v8. */
export function platformMatches(offered: Platform, wanted: Platform): boolean {
  const [a, b] = [canonical(offered), canonical(wanted)];
  return a.os === b.os && a.architecture === b.architecture && (!a.variant || !b.variant || a.variant === b.variant);
}

function canonical(platform: Platform): Platform {
  if (platform.architecture === "arm64" && platform.variant === "v8") return { os: platform.os, architecture: "arm64" };
  return platform;
}

function variantOf(json: JsonObject, what: string): { readonly variant?: string } {
  const { variant } = optional(json, "variant", string, what);
  return variant ? { variant } : {};
}
