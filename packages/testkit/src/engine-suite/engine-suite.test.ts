import { expect, test } from "vitest";
import { runSuite } from "../run-suite.ts";
import { scriptedEngine } from "../scripted/scripted-engine.ts";
import { engineSuite } from "./engine-suite.ts";

const base = { platform: { os: "linux", architecture: "amd64" }, config: {}, layers: [] };

/** What an engine can get right without executing anything: what it is, loads, reads, keeps and delivers. */
const withoutExecution = [
  "says who it is, and that nothing is missing here",
  "an environment is there as its layers say",
  "reads a file, a folder and the root, and says when there is nothing",
  "a reader that stops early leaves the session usable",
  "what was dropped is gone, and dropping or finding the unknown is no error",
  "every engine writes archives, compression none; skopeo and umoci take them",
  "every engine writes archives, compression gzip; skopeo and umoci take them",
  "every engine writes archives, compression zstd; skopeo and umoci take them",
  "the same state and spec give the same image, whenever and wherever",
  "says of a target that it does not know: not mine",
  "a delivery ends when it is interrupted, or its sink breaks, and the next one works",
];

test("fails an engine that executes nothing in every test of execution", async () => {
  const engine = scriptedEngine();
  const subject = async () => ({ engine, [Symbol.asyncDispose]: async () => {} });
  const { passed } = await runSuite((declare) => engineSuite({ test: declare, subject, base }));
  expect(passed).toEqual(withoutExecution);
});
