import { existsSync, readdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { install, npx, packageManager } from "./install.mjs";
import { exitOf, Failure, root, sh } from "./shell.mjs";

const node = ["node", "--conditions=melange2-source"];
const vitest = ["vitest", "run"];

// turbo runs the scripts through pnpm, which npx puts on PATH for it.
const turbo = [...npx, "--package", packageManager, "--", "turbo"];
// Its progress goes to stderr: stdout is the command's own, which may print JSON.
const build = (filters, env = {}) =>
  sh([...turbo, "run", "build", "--output-logs=errors-only", ...filters], { env, stdout: 2 });

/** Without declarations, which only publishing needs and which take most of the time. */
const buildToRun = (...filters) => build(filters, { MELANGE2_BUILD: "js" });

/** What `npm run` can do here; each takes the arguments behind the name. */
export const commands = {
  async quickstart(args) {
    sayFreeDisk();
    await install();
    await buildToRun("--filter=melange2");
    await sh([...node, "tooling/quickstart/quickstart.ts", ...args]);
  },
  async test(args) {
    sayFreeDisk();
    await install();
    await buildToRun();
    await sh([...vitest, ...args]);
  },
  async "test:full"(args) {
    sayFreeDisk();
    await install();
    await buildToRun();
    await sh([...vitest, ...args], { env: { MELANGE2_TEST_FULL: "1" } });
  },
  async bench(args) {
    await install();
    await buildToRun("--filter=melange2");
    // buildkitd and buildctl are among what only full runs have.
    await sh([...node, "tooling/bench/src/main.ts", ...args], { env: { MELANGE2_TEST_FULL: "1" } });
  },
  async build(args) {
    await install();
    await build(args);
  },
  async lint() {
    await install();
    await sh(["biome", "check", "--error-on-warnings", "."]);
  },
  async format() {
    await install();
    await sh(["biome", "check", "--write", "."]);
  },
  async types() {
    await install();
    await checkTypes();
  },
  async "check:layers"() {
    await install();
    await sh([...vitest, "tooling/layers"]);
  },
  async "check:publish"(args) {
    await install();
    await build([]);
    await sh([...node, "tooling/publish/src/main.ts", ...args]);
  },
  async melange2(args) {
    await install();
    await buildToRun("--filter=melange2");
    // npm moves to the root of the repository; relative paths are meant from where the user is.
    await sh([join(root, "apps/cli/bin/run.js"), ...args], { cwd: process.env.INIT_CWD ?? process.cwd() });
  },
};

function sayFreeDisk() {
  const { bavail, bsize } = statfsSync(root);
  console.log(`free disk here: ${((bavail * bsize) / 1e9).toFixed(1)} GB`);
}

/** Every package on its own, so that each is held to its own settings; all problems are shown before it fails. */
async function checkTypes() {
  const projects = ["packages", "apps", "tooling"]
    .flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}`))
    .filter((folder) => existsSync(join(root, folder, "tsconfig.json")));
  const wrong = [];
  for (const project of projects) {
    if ((await exitOf(["tsc", "-p", project])) !== 0) wrong.push(project);
  }
  if (wrong.length > 0) throw new Failure(`types do not fit in: ${wrong.join(", ")}`);
  console.log(`types fit in ${projects.length} packages`);
}
