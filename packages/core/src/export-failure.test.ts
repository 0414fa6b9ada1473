import { describe, expect, test } from "vitest";
import { aRecord } from "../test/failed-record.ts";
import { type FakeOptions, failure, fakeSession, secrets, write } from "../test/fake-session.ts";
import { clock, environment, step, unit } from "../test/plan-parts.ts";
import type { CaptureStrategy, FailedBuild } from "./capture.ts";
import { noSecrets } from "./engine.ts";
import { MelangeError } from "./error.ts";
import type { EventBody } from "./events.ts";
import {
  type CaptureFailureOptions,
  captureFailure,
  type ExportFailureOptions,
  exportFailure,
} from "./export-failure.ts";
import type { PreparedExport, Receipt } from "./exporter.ts";
import type { DebugImage } from "./image.ts";
import { recordedSteps } from "./record.ts";

const failed: FailedBuild = {
  id: "build-1",
  start: { id: "start" },
  completed: [unit("a")],
  unit: unit("b"),
  step: 0,
  before: { id: "before" },
  atFailure: { unavailable: "the wrapper was killed" },
};

const before: CaptureStrategy = {
  name: "before",
  contract: 1,
  summary: "The state before.",
  capture: async (of) => ({ snapshot: of.before, state: "before", reexecuted: 0, exact: true }),
};

/** Runs the unit before again, and hands over the state of its failure. */
const again: CaptureStrategy = {
  ...before,
  name: "again",
  async capture(of, { replay }) {
    const repeated = of.completed[0] ?? of.unit;
    const result = await replay.run(repeated, of.start, { fresh: of.id });
    if (result.ok) return { snapshot: result.after, state: "before", reexecuted: 1, exact: false };
    const earlierFailure = { unit: repeated, step: result.step, result };
    return { snapshot: of.start, state: "before", reexecuted: 1, exact: true, earlierFailure };
  },
};

const receipt: Receipt = { imageId: "sha256:00", bytes: 10, location: "/tmp/debug.tar", open: [["docker", "load"]] };

async function run(fake: FakeOptions = {}, more: Partial<CaptureFailureOptions & ExportFailureOptions> = {}) {
  const images: DebugImage[] = [];
  const names: unknown[] = [];
  const events: EventBody[] = [];
  const session = fakeSession(fake);
  const prepared: PreparedExport = {
    destination: "/tmp/debug.tar",
    async export(image, options) {
      images.push(image);
      names.push(options.failure);
      options.onProgress(5, undefined);
      options.onProgress(10, 10);
      return receipt;
    },
  };
  const common = {
    secrets: noSecrets,
    tell: (event: EventBody) => void events.push(event),
    signal: new AbortController().signal,
    now: clock(),
    ...more,
  };
  const outcome = await captureFailure({
    failed,
    record: aRecord(),
    log: new TextEncoder().encode("output of b\n"),
    session,
    strategy: before,
    ...common,
  })
    .then(async (captured) => {
      const exported = await exportFailure({
        captured,
        states: session,
        source: { text: "package:\n  name: hello\n", copyName: "recipe.yaml" },
        workspace: "/home/build",
        environment,
        exporter: "tarball",
        prepared,
        allowSecrets: false,
        ...common,
      });
      return { ...exported, capture: captured.capture };
    })
    .catch((error: unknown) => error as MelangeError);
  return { outcome, images, names, events, calls: session.calls };
}

/** What the exporter was given, one text a file. */
async function filesOf(image: DebugImage | undefined): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const { path, open } of image?.spec.files ?? []) {
    let text = "";
    for await (const chunk of open()) text += new TextDecoder().decode(chunk);
    files[path.replace(".melange2/", "")] = text;
  }
  return files;
}

describe("exportFailure", () => {
  test("captures, composes and delivers, and tells of it in order", async () => {
    const { outcome, images, names, events, calls } = await run();
    expect(calls).toEqual(["image before"]);
    expect(outcome).toEqual({
      receipt,
      record: aRecord(),
      capture: { strategy: "before", state: "before", reexecuted: 0, exact: true },
    });
    expect(names).toEqual([{ build: "build-1", step: "b" }]);
    expect((await filesOf(images[0])).log).toBe("output of b\n");
    expect(events.map((event) => ("task" in event ? `${event.type} ${event.task}` : event.type))).toEqual([
      "task-started capture",
      "task-finished capture",
      "captured",
      "task-started export",
      "task-progress export",
      "task-progress export",
      "task-finished export",
      "exported",
    ]);
    expect(events.filter((event) => event.type === "task-progress")).toEqual([
      { type: "task-progress", task: "export", done: 5 },
      { type: "task-progress", task: "export", done: 10, total: 10 },
    ]);
  });

  test("records that a strategy fell back, and why", async () => {
    const strategy: CaptureStrategy = {
      ...before,
      name: "current-state",
      capture: async (of, context) => ({
        ...(await before.capture(of, context)),
        fallbackFrom: "current-state",
        note: "It cannot be had.",
      }),
    };
    const { outcome, images } = await run({}, { strategy });
    const capture = {
      strategy: "current-state",
      state: "before",
      reexecuted: 0,
      exact: true,
      fallbackFrom: "current-state",
      note: "It cannot be had.",
    };
    expect(outcome).toMatchObject({ capture });
    expect(images[0]?.spec.labels["melange2.capture.fallback-from"]).toBe("current-state");
    expect(JSON.parse((await filesOf(images[0]))["record.json"] ?? "").capture).toEqual(capture);
  });

  test("passes on what capture and exporter reject with", async () => {
    const error = new MelangeError("export", "the disk is full", { hint: "Free some space." });
    const rejects = async () => {
      throw error;
    };
    expect((await run({}, { strategy: { ...before, capture: rejects } })).outcome).toBe(error);
    expect((await run({}, { prepared: { destination: "x", export: rejects } })).outcome).toBe(error);
  });
});

describe("a step that fails earlier when it is run again", () => {
  const fails: FakeOptions = {
    run: (_unit, options) => {
      write(options, 0, "this time a failed\n");
      return failure(0, 7);
    },
  };

  test("is what is recorded, exported and shown", async () => {
    const { outcome, images, names, calls } = await run(fails, {
      strategy: again,
      record: aRecord({ after: ["c"] }),
    });
    expect(calls).toEqual(["run unit-a from start fresh build-1", "image start"]);
    expect(names).toEqual([{ build: "build-1", step: "a" }]);
    const files = await filesOf(images[0]);
    expect(files.log).toBe("this time a failed\n");
    const record = JSON.parse(files["record.json"] ?? "");
    expect(record).toMatchObject({ ...(outcome as { record: object }).record });
    expect(record.failures).toEqual([
      {
        unit: "unit-a",
        step: "a",
        exit: { code: 7, reason: "exit" },
        message: "exit status 7, when it was run again",
      },
    ]);
    expect(recordedSteps(record).map(({ id, state }) => [id, state])).toEqual([
      ["a", "failed"],
      ["b", "not-run"],
      ["c", "not-run"],
    ]);
    // Of the run that failed, not of the one that succeeded before.
    const [first, second] = record.units;
    expect(first).toMatchObject({
      after: "at-failure",
      steps: [{ exit: { code: 7 }, log: { bytes: 19, omitted: 0 } }],
    });
    for (const gone of ["before", "after"]) expect(second).not.toHaveProperty(gone);
    for (const gone of ["started", "ended", "exit", "log"]) expect(second.steps[0]).not.toHaveProperty(gone);
  });

  test("must be one of its unit", async () => {
    const { outcome } = await run(
      { run: () => failure(4) },
      { strategy: { ...again, name: "broken" }, failed: { ...failed, completed: [unit("a")] } },
    );
    expect(outcome).toEqual(new TypeError("broken names step 4 of unit unit-a, which it has not"));
  });
});

describe("secrets", () => {
  const token = secrets({ TOKEN: "hunter2" });

  test("are not searched for where there are none", async () => {
    expect((await run({ found: ["/etc/never"] })).calls).toEqual(["image before"]);
  });

  test("in the state refuse the export and name every path", async () => {
    const { outcome, images, calls } = await run({ found: ["/root/.netrc", "/etc/token"] }, { secrets: token });
    expect(calls).toEqual(["search before"]);
    expect(images).toEqual([]);
    expect(outcome).toMatchObject({
      code: "secret-found",
      problems: [{ message: "/root/.netrc" }, { message: "/etc/token" }],
    });
  });

  test.each([
    [
      "the recipe",
      { source: { text: `# ${Buffer.from("x:hunter2").toString("base64")}`, copyName: "recipe.yaml" } },
      ["/.melange2/recipe.yaml"],
    ],
    [
      "the failed step's script",
      { record: aRecord({ failed: step("b", { script: "curl -u x:hunter2" }) }) },
      ["/.melange2/record.json", "/.melange2/script"],
    ],
    [
      "its environment",
      { record: aRecord({ failed: step("b", { env: { PLAIN: "hunter2" } }) }) },
      ["/.melange2/record.json", "/.melange2/env/0000"],
    ],
    ["the log", { log: Buffer.from("hunter2") }, ["/.melange2/log"]],
  ])("in %s refuse the export too", async (_, more, paths) => {
    const { outcome, images } = await run({}, { secrets: token, ...more });
    expect(images).toEqual([]);
    expect((outcome as MelangeError).problems.map(({ message }) => message)).toEqual(paths);
  });

  test.for([
    [0, []],
    [1, ["no secrets were looked for inside 1 compressed file"]],
    [12, ["no secrets were looked for inside 12 compressed files"]],
  ] as const)("are not looked for in %i compressed files, and that is told", async ([compressed, told]) => {
    const { events } = await run({ compressed }, { secrets: token });
    expect(events.flatMap((event) => (event.type === "notice" ? [event.message] : []))).toEqual(told);
  });

  test("are found in the record as JSON writes them", async () => {
    const quoted = 'say "hunter2"\nagain';
    const units = aRecord({ failed: step("b"), before: ["a"] }).units.map((one) =>
      one.id === "unit-a" ? { ...one, steps: one.steps.map((of) => ({ ...of, script: `echo '${quoted}'` })) } : one,
    );
    const { outcome } = await run({}, { secrets: secrets({ TOKEN: quoted }), record: { ...aRecord(), units } });
    expect((outcome as MelangeError).problems).toEqual([{ message: "/.melange2/record.json" }]);
    expect((outcome as MelangeError).message).toContain("in 1 file;");
  });

  test("that the user allows are exported, and recorded", async () => {
    const { outcome, images } = await run({ found: ["/root/.netrc"] }, { secrets: token, allowSecrets: true });
    expect(outcome).toMatchObject({ record: { secretsAllowed: ["/root/.netrc"] } });
    const record = JSON.parse((await filesOf(images[0]))["record.json"] ?? "");
    expect(record.secretsAllowed).toEqual(["/root/.netrc"]);
  });

  test("not found leave no trace in the record", async () => {
    const { outcome } = await run({}, { secrets: token, allowSecrets: true });
    expect((outcome as { record: object }).record).not.toHaveProperty("secretsAllowed");
  });
});
