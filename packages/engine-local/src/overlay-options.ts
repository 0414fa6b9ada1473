import type { Host } from "./host.ts";

/** The kernel takes 500 lower directories; beyond this many layers the oldest are merged into one. */
export const maxLowers = 480;

/** Directories of one overlay, as names relative to the session's folder of short names. */
export interface OverlayDirectories {
  /** Top layer first. At least two where there is no upper one. */
  readonly lowers: readonly string[];
  /** Where changes go; none: the mount is read-only. */
  readonly upper?: { readonly files: string; readonly work: string };
}

/** The text after `mount -t overlay -o`. */
export function overlayOptions(host: Host, directories: OverlayDirectories): string {
  const { lowers, upper } = directories;
  return [
    `lowerdir=${lowers.join(":")}`,
    // volatile: no sync while a step runs. What a power failure spoils is made again.
    ...(upper === undefined ? ["ro"] : [`upperdir=${upper.files}`, `workdir=${upper.work}`, "volatile"]),
    "nodev",
    // Layers must be plain trees that tar understands and that other mounts can stack in another way.
    ...(host.userxattr ? ["userxattr"] : ["redirect_dir=off", "metacopy=off", "index=off", "xino=off"]),
  ].join(",");
}
