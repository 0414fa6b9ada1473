import type { EventBody } from "@melange2/core";
import { expect, it } from "vitest";
import { plainProgress } from "../src/progress/plain.ts";
import { advance, draw, emptyScreen } from "../src/progress/screen.ts";

const location = { file: "r.yaml", line: 3, column: 5 };
const started = (name: string): EventBody => ({
  type: "build-started",
  time: "2026-01-01T00:00:00.000Z",
  source: { kind: "melange", file: "r.yaml" },
  subject: { name, version: "1-r0", arch: "x86_64" },
  engine: "local",
  steps: [{ id: "main-0", path: "pipeline[0]", label: "make", package: name, location }],
});
const running: EventBody = { type: "step-started", step: "main-0", time: "2026-01-01T00:00:00.000Z", again: false };
const output = (text: string): EventBody => ({ type: "step-output", step: "main-0", stream: "stdout", text });
const both = (body: (name: string) => EventBody) => ["one", "two"].map((name) => ({ ...body(name), build: name }));
const events = [...both(started), ...both(() => running), ...both((name) => output(`hello from ${name}`))];

it("plain lines of several builds say whose they are", () => {
  const written: string[] = [];
  const progress = plainProgress({ write: (text) => void written.push(text), end: () => {} });
  for (const event of events) progress.onEvent(event);
  progress.end();
  expect(written.join("").split("\n")).toEqual([
    "melange2: one-1-r0 (x86_64), 1 steps, build one",
    "two-1-r0: melange2: two-1-r0 (x86_64), 1 steps, build two",
    "one-1-r0: => step 1/1 [one] make (r.yaml:3:5)",
    "two-1-r0: => step 1/1 [two] make (r.yaml:3:5)",
    "one-1-r0:    1| hello from one",
    "two-1-r0:    1| hello from two",
    "",
  ]);
});

it("the screen shows the running step of each build", () => {
  let screen = emptyScreen;
  for (const event of events) screen = advance(screen, event, 0).screen;
  expect(draw(screen, 0, { columns: 80, rows: 24 })).toEqual([
    "one-1-r0: ▶ 1/1 [one] make  0.0 s  r.yaml:3:5",
    "one-1-r0:     hello from one",
    "two-1-r0: ▶ 1/1 [two] make  0.0 s  r.yaml:3:5",
    "two-1-r0:     hello from two",
  ]);
});
