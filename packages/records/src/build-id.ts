import { randomBytes } from "node:crypto";

/** A new build's id, `20261123-235001-3f2a1c`: sorts by time (UTC), safe in file names and image tags. */
export function newBuildId(now: Date): string {
  const [date, time] = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, "").split("T");
  return `${date}-${time}-${randomBytes(3).toString("hex")}`;
}
