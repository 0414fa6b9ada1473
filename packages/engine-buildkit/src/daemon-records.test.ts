import type { FilterOptions, UsageRecord } from "@melange2/buildkit-client";
import { describe, expect, it } from "vitest";
import { forget } from "./daemon-records.ts";

const { signal } = new AbortController();

/** What a daemon has; with every listing the records of a marker get other ids, as they do when a job lets go of them. */
function daemon(marker: string) {
  let listings = 0;
  let records: readonly Pick<UsageRecord, "id" | "type" | "description" | "parents">[] = [
    { id: "base", type: "regular", description: "pulled", parents: [] },
    { id: "own-0", type: "regular", description: `exec sh ${marker} 0`, parents: ["base"] },
    { id: "upon-own", type: "regular", description: "copy", parents: ["own-0"] },
    { id: "others", type: "regular", description: "exec sh m2-other 0", parents: ["base"] },
    { id: "beside", type: "regular", description: `exec sh ${marker}.nonce 0`, parents: ["base"] },
  ];
  const rename = (id: string) => id.replace(/^own-.*/, `own-${listings}`);
  return {
    ids: () => records.map(({ id }) => id.replace(/-\d$/, "")),
    async diskUsage() {
      listings++;
      records = records.map((one) => ({ ...one, id: rename(one.id), parents: one.parents.map(rename) }));
      return records as UsageRecord[];
    },
    async prune({ filter = [] }: FilterOptions = {}) {
      const pruned = records.filter(({ id }) => filter.length === 0 || filter.includes(`id==${id}`));
      records = records.filter((one) => !pruned.includes(one));
      return pruned as UsageRecord[];
    },
  };
}

describe("forgetting what a unit left", () => {
  it("takes that and what stands on it, and nothing else, whatever the daemon calls it meanwhile", async () => {
    const some = daemon("m2-mine");
    expect(await forget(some, "m2-mine", signal)).toBe(true);
    expect(some.ids()).toEqual(["base", "others", "beside"]);
  });

  it("takes nothing where there is nothing of the unit", async () => {
    const some = daemon("m2-another");
    expect(await forget(some, "m2-mine", signal)).toBe(true);
    expect(some.ids()).toHaveLength(5);
  });
});
