import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bytesOf, hexOf, type Layer } from "@melange2/oci";
import { describe, expect, test } from "vitest";
import { scratch } from "../test/scratch.ts";
import { openCache } from "./cache.ts";

const kilobyte = (text: string) => bytesOf(Buffer.alloc(1000, text));
const budget = { bytes: 3500, files: 100 };

/** As a process left them that ended hours ago. */
function usedHoursAgo(directory: string, layer: Layer, hours: number): void {
  const time = Date.now() / 1000 - hours * 3600;
  for (const ending of ["tar", "json"])
    utimesSync(join(directory, "layers", `${hexOf(layer.diffId)}.${ending}`), time, time);
}

async function withThreeOldLayers() {
  const directory = scratch();
  const cache = await openCache(directory, budget);
  const layers: Layer[] = [];
  for (const [index, text] of ["a", "b", "c"].entries()) {
    layers.push(await cache.keepTar(kilobyte(text)));
    usedHoursAgo(directory, layers[index] as Layer, 3 - index);
  }
  const there = () =>
    layers.map(({ diffId }) => readdirSync(join(directory, "layers")).includes(`${hexOf(diffId)}.tar`));
  return { directory, cache, layers: layers as [Layer, Layer, Layer], there };
}

describe("the cache keeps to its budget", () => {
  test("of bytes: the longest unused goes first, and finding is using", async () => {
    const { cache, layers, there } = await withThreeOldLayers();
    expect(await cache.find(layers[0].diffId)).toBeDefined();
    await cache.keepTar(kilobyte("d"));
    expect(there()).toEqual([true, false, true]);
    expect(await cache.find(layers[1].diffId)).toBeUndefined();
  });

  test("of files", async () => {
    const { directory, layers, there } = await withThreeOldLayers();
    const small = await openCache(directory, { bytes: 1e9, files: 4 });
    expect(await small.find(layers[0].diffId)).toBeDefined();
    await small.keepTar(kilobyte("d"));
    expect(there()).toEqual([true, false, false]);
  });

  test("but for what was used since a process began that still lives", async () => {
    const { directory, cache, there } = await withThreeOldLayers();
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    await once(other, "spawn");
    const file = join(directory, "users", String(other.pid));
    writeFileSync(file, "");
    const time = Date.now() / 1000 - 2.5 * 3600;
    utimesSync(file, time, time);
    await cache.keepTar(kilobyte("d"));
    await cache.keepTar(kilobyte("e"));
    expect(there()).toEqual([false, true, true]);

    other.kill("SIGKILL");
    await once(other, "close");
    await cache.keepTar(kilobyte("f"));
    expect(there()).toEqual([false, false, false]);
    // What this process made itself stays, beyond the budget.
    expect(readdirSync(join(directory, "layers")).filter((name) => name.endsWith(".tar"))).toHaveLength(3);
  });
});
