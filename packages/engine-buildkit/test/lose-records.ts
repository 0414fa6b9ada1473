import { setTimeout as wait } from "node:timers/promises";
import type { BuildkitClient, UsageRecord } from "@melange2/buildkit-client";
import type { StateRef } from "@melange2/core";
import { recordsOf } from "../src/daemon-records.ts";
import { never } from "./daemons.ts";

/** Has the daemon lose those that are chosen. It lets go of what a job held a moment after it answered, and calls it by another id then. */
export async function prune(
  client: BuildkitClient,
  ref: StateRef,
  chosen: (record: UsageRecord) => boolean = () => true,
): Promise<void> {
  for (;;) {
    const left = (await recordsOf(client, String(ref.marker), never)).filter(chosen);
    if (left.length === 0) return;
    await client.prune({ filter: left.map(({ id }) => `id==${id}`), all: true });
    await wait(20);
  }
}
