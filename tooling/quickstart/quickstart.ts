// The whole story on one screen: a recipe fails half-way, its environment becomes an image, and one looks inside.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { hostShellRoot } from "./host-shell-root.ts";

const repository = join(import.meta.dirname, "..", "..");
const recipe = "examples/quickstart/field-guide.yaml";
const work = ".work/quickstart";
const archive = `${work}/debug.tar`;

function say(text: string): void {
  process.stdout.write(`\n\u001b[1m${text}\u001b[0m\n`);
}

/** Runs a command the user could type, shown first; gives its exit code. */
function type(args: readonly string[], shown: readonly string[] = ["npx", "--", ...args]): number {
  process.stdout.write(`$ ${shown.join(" ")}\n`);
  const [program = "", ...rest] = args;
  const result = spawnSync(join("node_modules", ".bin", program), rest, { stdio: "inherit", cwd: repository });
  return result.status ?? 1;
}

function expectCode(found: number, wanted: number, what: string): void {
  if (found === wanted) return;
  process.stderr.write(`quickstart: ${what} ended with ${found}, not with ${wanted}\n`);
  process.exit(1);
}

process.chdir(repository);
mkdirSync(work, { recursive: true });
const base = await busyboxRoot()
  .then((root) => root.directory)
  .catch(() => hostShellRoot(join(repository, work, "root")));

say("1. A recipe fails half-way through writing its files");
const build = ["melange2", "build", recipe, "--base", base, "--out-dir", `${work}/packages`, "--progress", "plain"];
expectCode(type([...build, "--export-on-failure", "--export-path", archive]), 1, "the failing build");

say("2. Inside the failed step's environment: what it had written before it broke, and why it broke");
expectCode(type(["melange2", "debug", "shell", "--", "ls", "pages"]), 0, "a command in the failed state");
expectCode(
  type(["melange2", "debug", "shell", "--", "grep", "-n", "hoopoe", "birds.sorted"]),
  0,
  "a look at the input",
);

say("3. The same step once more, from the state before it: the same end");
expectCode(type(["melange2", "debug", "rerun"]), 3, "the rerun");

say("Your turn: a shell where it broke, on this machine without any daemon");
process.stdout.write("$ npx -- melange2 debug shell\n");
process.stdout.write(`The same as a container, wherever Docker is: docker load -i ${archive}\n`);
