import { expect, it } from "vitest";
import { exitOf, outOfMemoryKills } from "./exit.ts";

const calm = { before: 3, after: 3 };

it.each([
  [1, "exit"],
  [127, "exit"],
  [128, "exit"],
  [139, "signal"],
  [137, "signal"],
  [143, "signal"],
  [255, "exit"],
])("code %i is reason %s", (code, reason) => {
  expect(exitOf(code, calm)).toEqual({ code, reason });
});

it("a kill while the kernel ran out of memory is out of memory", () => {
  expect(exitOf(137, { before: 3, after: 4 })).toEqual({ code: 137, reason: "oom" });
  expect(exitOf(1, { before: 3, after: 4 })).toEqual({ code: 1, reason: "exit" });
});

it.runIf(process.platform === "linux")("the kernel's counter can be read", () => {
  expect(outOfMemoryKills()).toBeGreaterThanOrEqual(0);
});
