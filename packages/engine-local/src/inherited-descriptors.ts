import { readdirSync } from "node:fs";
import { readText } from "./host.ts";

const closeOnExec = 0o2000000;

/**
 * Descriptors above 2 that a child of this process would inherit. A directory among them would let a step reach the host's
 * files past its root, so launchers put /dev/null in their places.
 */
export function inheritedDescriptors(): readonly number[] {
  return readdirSync("/proc/self/fdinfo")
    .map(Number)
    .filter((fd) => fd > 2)
    .filter((fd) => {
      const flags = /^flags:\s*([0-7]+)/m.exec(readText(`/proc/self/fdinfo/${fd}`))?.[1];
      return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
    });
}
