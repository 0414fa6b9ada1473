import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FailureRecord, Plan } from "@melange2/core";
import { afterEach, beforeEach, expect, it } from "vitest";
import { newBuildId } from "./build-id.ts";
import { failureStore, type KeptFailure } from "./store.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "melange2-records-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function failure(id: string, ended = "2026-01-03T00:00:00.000Z"): KeptFailure {
  const record = {
    format: "melange2-failure-record",
    version: 2,
    build: { id, started: "", ended },
    failures: [{ unit: "main-0", step: "main-0", exit: { code: 1, reason: "exit" }, message: "exit status 1" }],
    units: [],
  } as unknown as FailureRecord;
  const states = {
    engine: "local",
    start: { engine: "local", id: "a" },
    before: { engine: "local", id: "b" },
    atFailure: { engine: "local", id: "c" },
    environment: { platform: { os: "linux", architecture: "amd64" }, config: {}, base: "/base.tar", diffIds: [] },
  };
  return { record, plan: { units: [] } as unknown as Plan, states };
}

it("gives back what was saved, by id, by its beginning, and the latest without one", async () => {
  const store = failureStore(join(directory, "builds"));
  await store.save(failure("20260101-000000-aaaaaa"), new Map([["main-0", Buffer.from("first\n")]]));
  await store.save(failure("20260102-000000-bbbbbb"), new Map());
  expect((await store.read(undefined)).id).toBe("20260102-000000-bbbbbb");
  const first = await store.read("20260101");
  expect(Buffer.from(await first.log("main-0")).toString()).toBe("first\n");
  expect((await first.log("main-1")).length).toBe(0);
  expect((await store.list()).failures.map((one) => one.id)).toEqual([
    "20260102-000000-bbbbbb",
    "20260101-000000-aaaaaa",
  ]);
  await expect(store.read("2026")).rejects.toMatchObject({ code: "usage" });
  await expect(store.read("2027")).rejects.toMatchObject({ code: "not-found" });
});

it("takes for the latest what ended last, whenever it began", async () => {
  const store = failureStore(directory);
  await store.save(failure("20260101-000000-aaaaaa", "2026-01-02T12:00:00.000Z"), new Map());
  await store.save(failure("20260102-000000-bbbbbb", "2026-01-02T00:00:01.000Z"), new Map());
  await mkdir(join(directory, "20260103-000000-cccccc"));
  expect((await store.read(undefined)).id).toBe("20260101-000000-aaaaaa");
  const { failures } = await store.list();
  expect(failures.map(({ id }) => id)).toEqual(["20260101-000000-aaaaaa", "20260102-000000-bbbbbb"]);
  for (const { id } of failures) await store.remove(id);
  await expect(store.read(undefined)).rejects.toThrow("build 20260103-000000-cccccc cannot be read");
});

it("keeps records private and leaves nothing half-written", async () => {
  const store = failureStore(directory);
  await store.save(failure("20260101-000000-aaaaaa"), new Map());
  await expect(store.save(failure("20260101-000000-aaaaaa"), new Map())).rejects.toThrow();
  expect(await readdir(directory)).toEqual(["20260101-000000-aaaaaa"]);
  expect((await stat(join(directory, "20260101-000000-aaaaaa", "record.json"))).mode & 0o777).toBe(0o600);
});

it("notes exports and names folders that it cannot read", async () => {
  const store = failureStore(directory);
  await store.save(failure("20260101-000000-aaaaaa"), new Map());
  const capture = { strategy: "current-state", state: "at-failure", reexecuted: 0, exact: true } as const;
  await store.addExport("20260101-000000-aaaaaa", {
    at: "",
    exporter: "tarball",
    location: "/x",
    imageId: "sha256:0",
    capture,
  });
  expect((await store.read(undefined)).exports).toHaveLength(1);
  await mkdir(join(directory, "20260102-000000-bbbbbb"));
  await writeFile(join(directory, "20260102-000000-bbbbbb", "record.json"), "{");
  const { failures, unreadable } = await store.list();
  expect(failures).toHaveLength(1);
  expect(unreadable).toEqual([{ id: "20260102-000000-bbbbbb", why: "its files are incomplete" }]);
  await store.remove("20260102-000000-bbbbbb");
  expect((await store.list()).unreadable).toEqual([]);
});

it("lists a build that another version kept as that, and says so to whoever asks for it", async () => {
  const store = failureStore(directory);
  const id = "20260101-000000-aaaaaa";
  const kept = failure(id);
  await store.save({ ...kept, record: { ...kept.record, version: 1 } as unknown as FailureRecord }, new Map());
  const { failures, unreadable } = await store.list();
  expect(failures).toEqual([]);
  expect(unreadable).toEqual([{ id, why: "another version of melange2 kept it, with a record of version 1" }]);
  await expect(store.read(id)).rejects.toMatchObject({
    message: `build ${id} cannot be read: another version of melange2 kept it, with a record of version 1`,
    hint: `Remove it: melange2 debug prune ${id}`,
  });
});

it("makes ids that sort by time", () => {
  const early = newBuildId(new Date("2026-11-23T23:50:01.002Z"));
  expect(early).toMatch(/^20261123-235001-[0-9a-f]{6}$/);
  expect(early < newBuildId(new Date("2026-11-23T23:50:01.010Z"))).toBe(true);
});
