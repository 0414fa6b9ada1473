import { setTimeout as pause } from "node:timers/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { isBuildkitError } from "@melange2/buildkit-client";
import type { StateRef } from "@melange2/core";
import { marshal, type State, unmarshal } from "@melange2/llb";
import type { BuildSpace } from "./build-space.ts";
import { forget, recordsOf } from "./daemon-records.ts";
import { refusedToRun, throwIfAborted, translated } from "./foreign-errors.ts";
import { neverRun } from "./permits.ts";
import { parseUnitResult } from "./run-result.ts";
import { type BaseFacts, type BuildkitSnapshot, baseSnapshot, snapshotOfRun, type UnitRun } from "./snapshot.ts";
import { isMarker, startOf, statusOf } from "./unit-op.ts";

/** Version of what references hold. */
const version = 3;

/**
 * A reference holds the graph itself, so that its digests are the same whatever a later version of this program would make of the same
 * steps, and the run that left the state, so that what a later run of the same unit left is never taken for it.
 */
export function refOf(at: BuildkitSnapshot): StateRef {
  return {
    engine: "buildkit",
    version,
    graph: packed(at.state),
    base: packed(at.base.state),
    ...(at.base.image === undefined ? {} : { baseImage: packed(at.base.image) }),
    baseName: at.base.name,
    layers: at.base.layers,
    ...(at.run === undefined ? {} : runOf(at.run)),
  };
}

function runOf({ marker, id, failed, statusFolder }: UnitRun) {
  return { marker, run: id, failed, statusFolder };
}

/** The state if the daemon still has the results of all its graph, and that of its last unit is of the same run. Runs nothing. */
export async function findState(
  space: BuildSpace,
  ref: StateRef,
  signal: AbortSignal,
): Promise<BuildkitSnapshot | undefined> {
  const kept = parseRef(ref);
  if (kept === undefined || !(await space.daemon.hasBase(kept.base, signal))) return undefined;
  for (let tried = 1; ; tried++) {
    const answer = await lookFor(space, kept, signal);
    if (answer === "found") return kept;
    if (answer === "gone" || tried === patience.tries) return undefined;
    throwIfAborted(signal);
    await pause(patience.firstMs * 2 ** tried);
  }
}

/** Whoever asks for what another client is just asking for gets that one's answer, and so its failure where that one leaves. */
const patience = { tries: 3, firstMs: 50 };

async function lookFor(
  { client }: BuildSpace,
  kept: BuildkitSnapshot,
  signal: AbortSignal,
): Promise<"found" | "gone" | "failed"> {
  // A job of its own: a state that is gone would be gone for every other solve of the session's job, too.
  await using job = client.job({ serve: { secrets: neverRun } });
  try {
    await job.solve(marshal(kept.state).bytes, { signal });
    if (kept.run === undefined) return "found";
    const status = await job.solve(marshal(statusOf(kept.state)).bytes, { signal });
    const { run } = parseUnitResult(await job.readDir(status, kept.run.statusFolder, { signal }));
    return run === kept.run.id ? "found" : "gone";
  } catch (error) {
    if (refusedToRun(error)) return "gone";
    // Whatever it is that the daemon has not, the state is not there.
    if (isBuildkitError(error) && ["solve-failed", "not-found", "request"].includes(error.code)) return "failed";
    throw translated(error, "looking for a kept state");
  }
}

/**
 * A daemon lets nobody hold what no job uses; all that can be done is to free what a failed unit left. What a good one left belongs to all
 * builds, and what the same unit left later to a later build.
 */
export async function dropState(space: BuildSpace, ref: StateRef, signal: AbortSignal): Promise<void> {
  const marker = failureOf(ref);
  if (marker === undefined || (await findState(space, ref, signal)) === undefined) return;
  await forget(space.client, marker, signal);
}

/** Bytes of what failed units left. */
export async function keptBytes(
  { client }: BuildSpace,
  refs: readonly StateRef[],
  signal: AbortSignal,
): Promise<number> {
  let bytes = 0;
  for (const marker of new Set(refs.flatMap((ref) => failureOf(ref) ?? []))) {
    const records = await recordsOf(client, marker, signal).catch((error: unknown) => {
      throw translated(error, "measuring a kept state");
    });
    bytes += records.reduce((sum, { size }) => sum + Math.max(0, size), 0);
  }
  return bytes;
}

/** The marker of the failed unit that left the state. */
function failureOf(ref: StateRef): string | undefined {
  const run = parseRef(ref)?.run;
  return run?.failed ? run.marker : undefined;
}

function parseRef(ref: StateRef): BuildkitSnapshot | undefined {
  const { engine, graph, base: baseGraph, baseImage, baseName, layers, marker, run, failed, statusFolder } = ref;
  if (engine !== "buildkit" || ref.version !== version) return undefined;
  if (
    typeof graph !== "string" ||
    typeof baseGraph !== "string" ||
    typeof baseName !== "string" ||
    !Array.isArray(layers)
  )
    return undefined;
  const image = typeof baseImage === "string" ? unpacked(baseImage) : undefined;
  const base: BaseFacts = { name: baseName, state: unpacked(baseGraph), image, layers };
  if (marker === undefined) return baseSnapshot(base);
  if (typeof marker !== "string" || !isMarker(marker) || typeof run !== "string" || typeof statusFolder !== "string")
    return undefined;
  const state = unpacked(graph);
  return snapshotOfRun({
    state,
    base,
    units: unitsOf(state, base.state),
    run: { marker, id: run, failed: failed === true, statusFolder },
  });
}

function unitsOf(state: State, base: State): number {
  let units = 0;
  for (let at = startOf(state, base); at !== undefined; at = startOf(at, base)) units++;
  return units;
}

function packed(state: State): string {
  return gzipSync(marshal(state).bytes).toString("base64");
}

function unpacked(text: string): State {
  return unmarshal(gunzipSync(Buffer.from(text, "base64")));
}
