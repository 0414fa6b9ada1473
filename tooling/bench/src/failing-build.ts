import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { repositoryRoot, run } from "@melange2-tooling/machine";
import type { Base } from "./base.ts";
import { graphs, recipe } from "./failing-recipe.ts";
import { timed } from "./timed.ts";

/** How one tool runs the failing build and exports its state; `nonce` makes its steps new ones. Seconds. */
export type FailingBuild = (base: Base, nonce: string) => Promise<number>;

export interface Workshop {
  /** For recipes, logs, archives and the state of our side. */
  readonly folder: string;
  /** What the workspace starts with. */
  readonly source: string;
}

export async function createWorkshop(folder: string): Promise<Workshop> {
  const source = join(folder, "source");
  await mkdir(source, { recursive: true });
  await writeFile(join(source, "fix.patch"), "not applied\n".repeat(100));
  return { folder, source };
}

const cli = join(repositoryRoot, "apps/cli/bin/run.js");

/** The command of the failing build with melange2. */
export function melange2Command({ folder, source }: Workshop, base: Base, recipeFile: string): readonly string[] {
  return [
    ...[process.execPath, cli, "build", recipeFile, "--base", base.tar, "--source-dir", source],
    ...["--export-on-failure", "--export-compression", "none", "--export-path", join(folder, "melange2.tar")],
  ];
}

export function melange2Env({ folder }: Workshop): Readonly<Record<string, string>> {
  return { MELANGE2_STATE_DIR: join(folder, "state") };
}

export async function writeRecipe({ folder }: Workshop, nonce: string): Promise<string> {
  const file = join(folder, `${nonce}.yaml`);
  await writeFile(file, recipe(nonce));
  return file;
}

/** One process: it builds, fails, keeps the state and writes, syncs and names the archive. */
export function withMelange2(workshop: Workshop): FailingBuild {
  const archive = join(workshop.folder, "melange2.tar");
  return async (base, nonce) => {
    const argv = melange2Command(workshop, base, await writeRecipe(workshop, nonce));
    await settle(archive);
    const log = join(workshop.folder, "melange2.log");
    const seconds = await timed({ argv, env: melange2Env(workshop), log, exit: 1 });
    await refuseLacking(archive, base);
    return seconds;
  };
}

/** Two processes: buildctl fails at the step; it then exports the state before that step, whose steps the daemon has in its cache. */
export function withBuildkit(workshop: Workshop, buildctl: string, address: string): FailingBuild {
  const archive = join(workshop.folder, "buildkit.tar");
  const log = join(workshop.folder, "buildkit.log");
  return async (base, nonce) => {
    const { failing, before } = graphs(nonce, base.digest);
    const inputs = { failing: join(workshop.folder, "failing.llb"), before: join(workshop.folder, "before.llb") };
    await writeFile(inputs.failing, failing);
    await writeFile(inputs.before, before);
    const build = [
      ...[buildctl, "--addr", address, "build", "--progress", "plain"],
      ...["--oci-layout", `base=${base.layout}`, "--local", `source=${workshop.source}`],
    ];
    const output = `type=docker,name=localhost/bench:latest,compression=uncompressed,dest=${archive}`;
    await settle(archive);
    const failed = await timed({ argv: build, input: inputs.failing, log, exit: 1 });
    const exported = await timed({ argv: [...build, "--output", output], input: inputs.before, log, exit: 0 });
    await refuseLacking(archive, base);
    return failed + exported;
  };
}

/** No old archive, and nothing on its way to the disk that the next measurement would wait for. */
async function settle(archive: string): Promise<void> {
  await rm(archive, { force: true });
  await run(["sync"]);
}

/** An archive that is not larger than its base lacks it, or is compressed. */
async function refuseLacking(archive: string, base: Base): Promise<void> {
  const { size } = await stat(archive);
  if (size <= base.bytes) throw new Error(`${archive} has ${size} bytes, its base alone ${base.bytes}`);
}
