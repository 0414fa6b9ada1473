import { randomBytes } from "node:crypto";

/** A new build's id, `20261123-235001-3f2a1c`: sorts by time (UTC, to the millisecond), safe in file names and image tags. */
export function newBuildId(now: Date): string {
  const [date, time] = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, "").split("T");
  const millisecond = now.getUTCMilliseconds().toString(16).padStart(3, "0");
  return `${date}-${time}-${millisecond}${randomBytes(2).toString("hex").slice(0, 3)}`;
}
