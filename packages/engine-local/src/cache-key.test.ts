import type { Step } from "@melange2/core";
import { testStep, testUnit } from "@melange2/testkit";
import { expect, it } from "vitest";
import { cacheKey } from "./cache-key.ts";

const key = (changes: Partial<Step> = {}, rest: { parent?: string; network?: boolean; architecture?: string } = {}) =>
  cacheKey({
    parent: "p",
    architecture: "x64",
    network: true,
    ...rest,
    unit: testUnit(testStep("one", "true", changes)),
  });

it.each<[string, string]>([
  ["the script", key({ script: "false" })],
  ["a variable", key({ env: { A: "1" } })],
  ["the name of a secret", key({ secretEnv: ["TOKEN"] })],
  ["the workdir", key({ workdir: "/else" })],
  ["the user", key({ user: { uid: 1, gid: 0 } })],
  ["a capability", key({ capabilities: { add: ["CAP_SYS_PTRACE"], drop: [] } })],
  ["a mount", key({ mounts: [{ kind: "cache", source: "/a", target: "/b" }] })],
  ["the state below", key({}, { parent: "q" })],
  ["the network", key({}, { network: false })],
  ["the architecture", key({}, { architecture: "arm64" })],
])("a result depends on %s", (_, other) => {
  expect(other).not.toBe(key());
});

it("a result does not depend on names, places, the time limit, or the order of variables", () => {
  const env = { A: "1", B: "2" };
  expect(key({ id: "x", label: "y", path: "z", fragment: "f", timeout: 5 })).toBe(key());
  expect(key({ env: { B: "2", A: "1" } })).toBe(key({ env }));
});

it("steps are told apart from one another", () => {
  const both = (a: string, b: string) =>
    cacheKey({ parent: "p", architecture: "x64", network: true, unit: testUnit(testStep("1", a), testStep("2", b)) });
  expect(both("ab", "c")).not.toBe(both("a", "bc"));
});
