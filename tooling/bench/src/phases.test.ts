import type { EventBody } from "@melange2/core";
import { expect, test } from "vitest";
import { phases } from "./phases.ts";

test("phases cover everything from the start to the end, each once", () => {
  const time = new Date(0).toISOString();
  const events: readonly (readonly [number, EventBody])[] = [
    [100, { type: "task-started", task: "open base", label: "open base", time }],
    [130, { type: "task-finished", task: "open base", duration: 30 }],
    [150, { type: "step-started", step: "main-0", time, again: false }],
    [160, { type: "step-output", step: "main-0", stream: "stdout", text: "x" }],
    [170, { type: "step-finished", step: "main-0", state: "failed", duration: 20, again: false }],
    [200, { type: "task-started", task: "export", label: "export to /tmp/x.tar", time }],
  ];
  expect(
    phases(
      events.map(([at, body]) => ({ at, event: { ...body, build: "b" } })),
      260,
    ),
  ).toEqual([
    { name: "start of the process, recipe, exporter", ms: 100 },
    { name: "open base", ms: 30 },
    { name: "prepare the workspace", ms: 20 },
    { name: "step main-0", ms: 20 },
    { name: "keep the states, drop old ones", ms: 30 },
    { name: "export", ms: 60 },
  ]);
});
