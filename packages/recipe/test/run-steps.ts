import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Step } from "@melange2/core";
import { expect } from "vitest";
import type { RecipePlan } from "../src/index.ts";

/** Makes a private /home with the folder $0 at /home/build and runs the script $2 there with the shell $1. */
const inWorkspace = `mount -t tmpfs none /home && mkdir /home/build && mount --rbind "$0" /home/build && cd /home/build && exec $1 -c "$2"`;
const namespaces = ["--map-root-user", "--mount", "--", "/bin/sh", "-c", inWorkspace];

/** The shells of this machine that steps must run on. */
export const shells: readonly string[] = ["dash", "bash", "busybox sh"].filter(
  (shell) => spawnSync("/bin/sh", ["-c", `${shell} -c true`]).status === 0,
);

/** Whether this machine lets us have a /home/build of our own. */
export const canRunSteps: boolean = spawnSync("unshare", [...namespaces, tmpdir(), "/bin/sh", "true"]).status === 0;

/** Why not. */
export const noSteps = "unshare cannot make a private /home here";

/** Runs a step with `workspace` at /home/build; its output with its exit code as the last line. */
export function runStep(step: Step, workspace: string, shell: string): string {
  const ended = spawnSync("unshare", [...namespaces, workspace, shell, step.script], {
    env: { ...step.env },
    encoding: "utf8",
  });
  return `${ended.stdout}${ended.stderr}\nexit ${ended.status}`;
}

/** Runs all the steps that build a recipe's packages; each must succeed. */
export function runBuild({ plan, environments }: RecipePlan, workspace: string, shell: string): void {
  for (const name of plan.environments) {
    for (const directory of environments[name]?.directories ?? []) {
      mkdirSync(join(workspace, directory.slice(plan.workspace.length)), { recursive: true });
    }
  }
  for (const step of plan.units.flatMap(({ steps }) => steps)) {
    expect(runStep(step, workspace, shell), step.path).toMatch(/exit 0$/);
  }
}
