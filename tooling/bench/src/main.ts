// Measures the bounds that the engines are held to, each side by side with what it is compared to, and says whether they are met.
//   npm run bench [-- --rounds N]
import { readFile } from "node:fs/promises";
import { availableParallelism, loadavg, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { busyboxRoot, cBuildRoot } from "@melange2-tooling/fixtures";
import { isRoot, removeTree } from "@melange2-tooling/machine";
import { createRunFolder, start } from "@melange2-tooling/services";
import { measureApk } from "./apk-packages.ts";
import { type Base, baseOf } from "./base.ts";
import { breakdown } from "./breakdown.ts";
import { measureOverhead } from "./buildkit-overhead.ts";
import { createWorkshop, type FailingBuild, withBuildkit, withMelange2 } from "./failing-build.ts";
import { measureInstallation } from "./installation.ts";
import { measureRecipes } from "./recipe-cost.ts";
import { formatBreakdown, formatComparison, formatRecipes } from "./report.ts";
import { interleaved } from "./samples.ts";
import { measureSearch } from "./secret-search.ts";
import { measureSteps } from "./step-cost.ts";

const bounds = { build: 0.4, step: 1.6, trivial: 1.4, second: 1.05, recipe: 15, recipeMemory: 250e6 };
/** Milliseconds. */
const apkBounds = { read: 60, resolve: 10 };
/** Ratios. */
const installationBounds = { cold: 2, warm: 0.2, changed: 0.15 };
/** Seconds. */
const searchBound = 1;

const aboutBuilds = `\
A failing build with the export of its state, uncompressed; seconds
  melange2: one command builds, fails at step 5 of 6, keeps the state, writes and syncs the archive (current-state).
  BuildKit: buildctl solves the same steps and fails; buildctl exports the state before the failed step (type=docker,
            compression=uncompressed), whose steps the daemon has just cached. Nobody syncs.
  Both: cold processes, but for the daemon; the base imported before, no step in any cache, nothing left to be written by
        others. The base is one uncompressed layer.`;

const aboutSteps = `\
A step that does nothing; milliseconds a step, 20 steps a round
  engine: session.run of engine-local, from one state to the next.
  sh:     the same chain of util-linux programs in a loop, tooling/bench/src/bare-chain.sh.`;

const aboutOverhead = `\
A chain of steps on one BuildKit daemon; seconds
  engine:   engine-buildkit, from connecting to closing: one solve a step, each exit code read back, every failure ready to be captured.
  buildctl: the same steps as one graph in one solve.`;

const aboutRecipes = `\
All recipes of the corpus, parsed, compiled and planned one after another in one process, their scripts checked`;
const aboutPackages = `\
apk packages, in a process that has done it before; milliseconds
  read:    a signed index of 5,000 packages, from its bytes to the resolver's tables.
  resolve: an environment of 60 packages, and its lock again, as each build does.`;

const aboutInstallation = `\
60 packages of 20,000 files and 205 MB, installed into layers; ratios
  cold:    against tar xzf of the same files in one archive.
  warm:    again, nothing changed, against the same tar xzf.
  changed: one package of them changed, against cold.`;

const { values } = parseArgs({ options: { rounds: { type: "string", default: "7" } } });
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError(`--rounds ${values.rounds} is not a number of rounds`);

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Why nothing can be measured here; what is not measured counts as not met. */
function refuse(reason: string): never {
  say(`not measured, so not met: ${reason}`);
  process.exit(1);
}

if (!isRoot()) refuse("buildkitd needs root");
const services = await start(["buildkit", "corpus"]);
const address = process.env.MELANGE2_TEST_BUILDKIT ?? services.env.MELANGE2_TEST_BUILDKIT;
const buildctl = process.env.MELANGE2_TEST_BUILDCTL ?? services.env.MELANGE2_TEST_BUILDCTL;
const corpus = process.env.MELANGE2_TEST_CORPUS_RECIPES ?? services.env.MELANGE2_TEST_CORPUS_RECIPES;
if (address === undefined || buildctl === undefined) refuse(`buildkitd: ${services.missing.get("buildkit")}`);
if (corpus === undefined) refuse(`the corpus: ${services.missing.get("corpus")}`);

const folder = await createRunFolder();
const met: boolean[] = [];
try {
  const model = /^model name\s*: (.*)$/m.exec(await readFile("/proc/cpuinfo", "utf8"))?.[1] ?? process.arch;
  say(`${availableParallelism()} CPUs (${model}), Linux ${release()}, Node ${process.versions.node}, ${rounds} rounds`);
  say(`load before: ${loadavg()[0]?.toFixed(1)}\n`);
  say(aboutPackages);
  const apk = await measureApk(rounds);
  for (const what of ["read", "resolve"] as const) {
    const isMet = apk[what] <= apkBounds[what];
    met.push(isMet);
    say(
      `  ${what.padEnd(8)}${apk[what].toFixed(1).padStart(8)}  bound: ${apkBounds[what]}  ${isMet ? "met" : "NOT MET"}`,
    );
  }
  say("");
  say(aboutInstallation);
  const installation = await measureInstallation(join(folder, "installation"), Math.min(rounds, 3));
  for (const what of ["cold", "warm", "changed"] as const) {
    const isMet = installation[what] <= installationBounds[what];
    met.push(isMet);
    say(
      `  ${what.padEnd(8)}${installation[what].toFixed(2).padStart(8)}  bound: ${installationBounds[what]}  ${isMet ? "met" : "NOT MET"}`,
    );
  }
  say("");
  const search = measureSearch(rounds);
  met.push(search <= searchBound);
  say(`Looking for five secrets in 150 MB; seconds\n  ${search.toFixed(2)}  bound: ${searchBound}\n`);
  const workshop = await createWorkshop(join(folder, "build"));
  const sides = { ours: withMelange2(workshop), theirs: withBuildkit(workshop, buildctl, address) };
  const busybox = await busyboxRoot();
  say(aboutBuilds);
  await compareBuilds(
    "Debian with a C compiler",
    await baseOf(await cBuildRoot(), join(folder, "c-build")),
    bounds.build,
  );
  // Here next to nothing is built or moved: it shows what starting a process costs against asking a daemon that runs already.
  await compareBuilds("busybox", await baseOf(busybox.tar, join(folder, "busybox")));

  async function compareBuilds(name: string, base: Base, bound?: number): Promise<void> {
    const comparison = await measureBuilds(sides, base, name);
    if (bound !== undefined) met.push(comparison.ratio <= bound);
    say(formatComparison(comparison, { ours: "melange2", theirs: "BuildKit", digits: 2, bound }));
    say(formatBreakdown(await breakdown(workshop, base, newNonce())));
  }

  say(aboutRecipes);
  const recipes = await measureRecipes(corpus);
  met.push(recipes.cpu / recipes.recipes <= bounds.recipe && recipes.memory < bounds.recipeMemory);
  say(formatRecipes(recipes, { cpu: bounds.recipe, memory: bounds.recipeMemory }));

  say(aboutSteps);
  const steps = await measureSteps(busybox, join(folder, "step"), rounds);
  met.push(steps.ratio <= bounds.step);
  say(formatComparison(steps, { ours: "engine", theirs: "sh", digits: 1, bound: bounds.step }));
  say(aboutOverhead);
  const base = await baseOf(busybox.tar, join(folder, "chain"));
  const chain = { address, buildctl, base, folder, newNonce };
  for (const [what, bound, options] of [
    ["20 steps that do nothing", bounds.trivial, { steps: 20, script: "exit 0", rounds }],
    ["10 steps of a second", bounds.second, { steps: 10, script: "sleep 1; exit 0", rounds: Math.min(rounds, 3) }],
  ] as const) {
    say(`\n  ${what}`);
    const overhead = await measureOverhead({ ...chain, ...options });
    met.push(overhead.ratio <= bound);
    say(formatComparison(overhead, { ours: "engine", theirs: "buildctl", digits: 2, bound }));
  }
  say(`load after: ${loadavg()[0]?.toFixed(1)}`);
} finally {
  await services.stop();
  await removeTree(folder);
}
process.exitCode = met.every(Boolean) ? 0 : 1;

async function measureBuilds(
  sides: { readonly ours: FailingBuild; readonly theirs: FailingBuild },
  base: Base,
  name: string,
) {
  const first = { ours: await sides.ours(base, newNonce()), theirs: await sides.theirs(base, newNonce()) };
  say(`\n  base: ${name}, ${(base.bytes / 1e6).toFixed(0)} MB`);
  say(
    `  first build on it, the base imported on the way: melange2 ${first.ours.toFixed(2)}, BuildKit ${first.theirs.toFixed(2)}`,
  );
  return interleaved(rounds, {
    ours: () => sides.ours(base, newNonce()),
    theirs: () => sides.theirs(base, newNonce()),
  });
}

function newNonce(): string {
  return `n${process.hrtime.bigint().toString(36)}`;
}
