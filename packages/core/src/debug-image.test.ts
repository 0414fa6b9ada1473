import { describe, expect, test } from "vitest";
import { aRecord, type RecordParts } from "../test/failed-record.ts";
import { environment, step } from "../test/plan-parts.ts";
import { type DebugImageParts, debugImageSpec } from "./debug-image.ts";
import type { ImageFile, ImageSpec } from "./image.ts";
import type { CaptureRecord } from "./record.ts";

const lastGood: CaptureRecord = { strategy: "last-good", state: "before", reexecuted: 0, exact: true };

function specOf(parts: RecordParts = {}, capture = lastGood, more: Partial<DebugImageParts> = {}): ImageSpec {
  return debugImageSpec({
    record: aRecord(parts),
    capture,
    environment,
    source: { text: "package:\n  name: hello\n", copyName: "recipe.yaml" },
    log: new TextEncoder().encode("make: *** Error 2\n"),
    workspace: "/home/build",
    ...more,
  });
}

async function content(file: ImageFile | undefined): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of file?.open() ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** The spec as data: what its files hold in place of how they are opened. */
async function asData(spec: ImageSpec): Promise<unknown> {
  const files = await Promise.all(spec.files.map(async (file) => ({ ...file, open: await content(file) })));
  return { ...spec, files };
}

const fileOf = (spec: ImageSpec, name: string) => content(spec.files.find(({ path }) => path === `.melange2/${name}`));

describe("the spec", () => {
  test("is equal for equal parts", async () => {
    expect(await asData(specOf())).toEqual(await asData(specOf()));
  });

  test("is of the time of the failure", () => {
    expect(specOf().created).toBe("2026-11-24T00:01:00.000Z");
    expect(specOf().annotations["org.opencontainers.image.created"]).toBe("2026-11-24T00:01:00.000Z");
  });

  test("starts a shell in the failed step's environment and directory, nothing of the base's", () => {
    const failed = step("b", { env: { PATH: "/usr/bin:/bin", CFLAGS: "-O2 -g" }, workdir: "/home/build/src" });
    expect(specOf({ failed }).config).toEqual({
      Env: ["ENV=/.melange2/profile", "PATH=/usr/bin:/bin", "CFLAGS=-O2 -g"],
      WorkingDir: "/home/build/src",
      Cmd: ["/bin/sh"],
    });
  });

  test("leaves the step an ENV of its own", () => {
    const failed = step("b", { env: { ENV: "production" } });
    expect(specOf({ failed }).config.Env).toEqual(["ENV=production"]);
  });

  test.each([
    [{ uid: 0, gid: 0 }, undefined],
    [{ uid: 1000, gid: 1000 }, "1000:1000"],
    [{ uid: 0, gid: 1000 }, "0:1000"],
  ])("names the user %o only where it is not root", (user, named) => {
    expect(specOf({ failed: step("b", { user }) }).config.User).toBe(named);
  });

  test("labels what failed, and keeps the base's labels", () => {
    const failed = step("b", { label: "run\u001b[31m make" });
    const capture: CaptureRecord = { ...lastGood, fallbackFrom: "current-state", reexecuted: 3, exact: false };
    expect(specOf({ failed }, capture).labels).toEqual({
      "org.example.base": "wolfi",
      "melange2.source": "hello.yaml",
      "melange2.source.kind": "melange",
      "melange2.subject": "hello-1.0-r0",
      "melange2.arch": "x86_64",
      "melange2.build": "build-1",
      "melange2.engine": "local",
      "melange2.step": "b",
      "melange2.step.label": "run make",
      "melange2.step.path": "pipeline[b]",
      "melange2.step.location": "hello.yaml:12:5",
      "melange2.exit-code": "2",
      "melange2.exit-reason": "exit",
      "melange2.capture": "last-good",
      "melange2.capture.fallback-from": "current-state",
      "melange2.state": "before",
      "melange2.steps-run-again": "3",
      "melange2.exact": "false",
    });
    expect(specOf().labels).not.toHaveProperty("melange2.capture.fallback-from");
  });
});

describe("the history", () => {
  const failed = step("c", { script: "the script itself" });
  const units = { before: ["a"], sameUnit: ["b"], after: ["d"] };

  test.each([
    ["at-failure", ["melange2: unit-a", "melange2: unit-b"]],
    ["before-unit", ["melange2: unit-a"]],
    // The steps of the failed unit that two-phase ran again leave a layer.
    ["before", ["melange2: unit-a", "melange2: unit-b"]],
  ] as const)("of a state %s has a line for each unit in it", (state, history) => {
    expect(specOf({ failed, ...units }, { ...lastGood, state }).history).toEqual(history);
  });

  test("of the state before a unit's first step has none of that unit", () => {
    expect(specOf({ failed, before: ["a"], after: ["d"] }).history).toEqual(["melange2: unit-a"]);
  });

  test("shows no script", () => {
    expect(specOf({ failed }, { ...lastGood, state: "at-failure" }).history.join()).not.toContain("script");
  });
});

describe("the files", () => {
  test("come with parents before children, all of root, with their true sizes", async () => {
    const seen = new Set<string>([""]);
    for (const file of specOf().files) {
      expect(seen).toContain(file.path.split("/").slice(0, -1).join("/"));
      expect(file.owner).toEqual({ uid: 0, gid: 0 });
      expect(Buffer.byteLength(await content(file))).toBe(file.size);
      if (file.kind === "directory") seen.add(file.path);
    }
  });

  test("are readable by everybody, and only rerun is a program", () => {
    const programs = specOf().files.filter(({ kind, mode }) => kind === "file" && mode !== 0o644);
    expect(programs.map(({ path, mode }) => [path, mode])).toEqual([[".melange2/rerun", 0o755]]);
  });

  test("can be read more than once", async () => {
    const spec = specOf();
    expect(await fileOf(spec, "script")).toBe(await fileOf(spec, "script"));
  });

  test("hold each variable byte by byte in a file of its own, sorted", async () => {
    const failed = step("b", { env: { Z: "last\n\n", A: "$(id) 'ü\"" } });
    const spec = specOf({ failed });
    expect(await fileOf(spec, "env/0000")).toBe("A=$(id) 'ü\"");
    expect(await fileOf(spec, "env/0001")).toBe("Z=last\n\n");
  });

  test("hold script, log, recipe, and the record with the capture", async () => {
    const spec = specOf({ failed: step("b", { script: "exactly\tthis\nexit 0" }) });
    expect(await fileOf(spec, "script")).toBe("exactly\tthis\nexit 0");
    expect(await fileOf(spec, "log")).toBe("make: *** Error 2\n");
    expect(await fileOf(spec, "recipe.yaml")).toBe("package:\n  name: hello\n");
    expect(JSON.parse(await fileOf(spec, "record.json"))).toEqual({
      ...aRecord({ failed: step("b", { script: "exactly\tthis\nexit 0" }) }),
      capture: lastGood,
    });
  });

  test("greet with what failed and which state this is, harmless to a terminal", async () => {
    const failed = step("b", { label: "evil\u001b]0;title\u0007 step", timeout: 30 });
    const note = "Made by running 1 step again.";
    const greeting = await fileOf(
      specOf({ failed, exit: { code: 124, reason: "timeout" } }, { ...lastGood, exact: false, note }),
      "greeting",
    );
    expect(greeting).toContain("hello-1.0-r0 (x86_64)");
    expect(greeting).toContain("evil step (hello.yaml:12:5), timed out after 30 s");
    expect(greeting).toContain("as it was before the failed step, made again");
    expect(greeting).toContain(note);
    expect(greeting).not.toMatch(/[^\n\P{Cc}]/u);
  });
});
