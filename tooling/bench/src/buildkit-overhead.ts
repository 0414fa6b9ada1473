import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Environment, noSecrets } from "@melange2/core";
import { buildkitEngine } from "@melange2/engine-buildkit";
import { exec, marshal, ociLayout, type State } from "@melange2/llb";
import { layerFromFile } from "@melange2/oci";
import { testStep, testUnit } from "@melange2/testkit";
import type { Base } from "./base.ts";
import { type Comparison, interleaved } from "./samples.ts";
import { timed } from "./timed.ts";

export interface OverheadOptions {
  readonly address: string;
  readonly buildctl: string;
  readonly base: Base;
  /** For graphs, logs and the engine's state. */
  readonly folder: string;
  readonly rounds: number;
  readonly steps: number;
  /** What each step does. */
  readonly script: string;
  readonly newNonce: () => string;
}

/** Seconds for a chain of steps on one daemon: by the engine, one after another and each result read back, and by buildctl in one go. */
export async function measureOverhead(options: OverheadOptions): Promise<Comparison> {
  const { rounds, newNonce } = options;
  const sides = { ours: () => withEngine(options, newNonce()), theirs: () => withBuildctl(options, newNonce()) };
  await sides.ours();
  await sides.theirs();
  return interleaved(rounds, sides);
}

const scripts = ({ steps, script }: OverheadOptions, nonce: string): readonly string[] =>
  Array.from({ length: steps }, (_, index) => `: ${nonce}.${index}; ${script}`);

/** From the connection to the end of the session. */
async function withEngine(options: OverheadOptions, nonce: string): Promise<number> {
  const { signal } = new AbortController();
  const context = {
    stateDirectory: join(options.folder, "state"),
    env: {},
    options: { "buildkit-addr": options.address },
  };
  const started = performance.now();
  await using session = await buildkitEngine(context).open({
    capture: true,
    secrets: noSecrets,
    network: true,
    signal,
  });
  let at = await session.load(environmentOf(options.base), { signal });
  for (const [index, script] of scripts(options, nonce).entries()) {
    const result = await session.run(testUnit(testStep(`step-${index}`, script)), at, { signal, onOutput: () => {} });
    if (!result.ok || result.cached) throw new Error(`the step ended with ${JSON.stringify(result)}`);
    at = result.after;
  }
  await session[Symbol.asyncDispose]();
  return (performance.now() - started) / 1000;
}

async function withBuildctl(options: OverheadOptions, nonce: string): Promise<number> {
  const { buildctl, address, base, folder } = options;
  const start = ociLayout(`base@${base.digest}`, { store: "base" });
  const run = (state: State, script: string): State =>
    exec(state, { args: ["/bin/sh", "-c", script], env: testStep("step", script).env }).root;
  const graph = join(folder, "chain.llb");
  await writeFile(graph, marshal(scripts(options, nonce).reduce(run, start)).bytes);
  const argv = [buildctl, "--addr", address, "build", "--progress", "plain", "--oci-layout", `base=${base.layout}`];
  return timed({ argv, input: graph, log: join(folder, "buildctl.log"), exit: 0 });
}

function environmentOf({ tar, diffId, bytes, platform }: Base): Environment {
  return { platform, config: {}, layers: [layerFromFile(tar, { diffId, tarSize: bytes })] };
}
