import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { EngineSession, Snapshot } from "@melange2/core";
import { noSecrets } from "@melange2/core";
import { localEngine } from "@melange2/engine-local";
import { digestOfBytes, layerFromFile, readFileBytes } from "@melange2/oci";
import { testStep, testUnit } from "@melange2/testkit";
import type { BusyboxRoot } from "@melange2-tooling/fixtures";
import { run } from "@melange2-tooling/machine";
import { type Comparison, interleaved } from "./samples.ts";

const stepsARound = 20;

/** Milliseconds for a step that does nothing: by the engine, from one state to the next, and by the bare chain from sh. */
export async function measureSteps(root: BusyboxRoot, folder: string, rounds: number): Promise<Comparison> {
  const { signal } = new AbortController();
  const engine = localEngine({ stateDirectory: join(folder, "state"), env: process.env, options: {} });
  await using session = await engine.open({ capture: true, secrets: noSecrets, network: true, signal });
  const base = await loadRoot(session, root, signal);
  const chain = join(import.meta.dirname, "bare-chain.sh");
  const directory = join(folder, "chain");
  await mkdir(directory, { recursive: true });
  await run(["sh", chain, "prepare", directory, root.directory]);

  const ours = async (round: number): Promise<void> => {
    let at = base;
    for (let step = 0; step < stepsARound; step++) {
      const unit = testUnit(testStep(`step-${step}`, `: ${round}.${step}`));
      const result = await session.run(unit, at, { signal, onOutput: () => {} });
      if (!result.ok || result.cached) throw new Error(`the step ended with ${JSON.stringify(result)}`);
      at = result.after;
    }
  };
  const theirs = async (): Promise<void> => {
    await run(["sh", chain, "run", directory, String(stepsARound)]);
  };
  await ours(-1);
  await theirs();
  return await interleaved(rounds, { ours: (round) => eachStep(() => ours(round)), theirs: () => eachStep(theirs) });
}

async function eachStep(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / stepsARound;
}

async function loadRoot(session: EngineSession, { tar }: BusyboxRoot, signal: AbortSignal): Promise<Snapshot> {
  const { digest, size } = await digestOfBytes(readFileBytes(tar));
  const layer = layerFromFile(tar, { diffId: digest, tarSize: size });
  return session.load({ platform: { os: "linux", architecture: "amd64" }, config: {}, layers: [layer] }, { signal });
}
