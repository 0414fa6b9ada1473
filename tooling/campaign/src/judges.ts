import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isMelangeError, noSecrets } from "@melange2/core";
import { localEngine } from "@melange2/engine-local";
import { composeEnvironment, openBase } from "@melange2/environment";
import { readRecipe } from "@melange2/recipe";
import { testStep, testUnit } from "@melange2/testkit";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { hostileBase } from "./bases.ts";
import { randomOf } from "./random.ts";
import { hostileRecipe } from "./recipes.ts";

/** Where a campaign works: `folder` is its own, `canary` a folder of the host that no case may touch. */
export interface Ground {
  readonly seed: number;
  readonly folder: string;
  readonly canary: string;
}

/** Tries one case; resolves with what went wrong, if anything. Rejects where the product threw what is no error of its own. */
export type Judge = (index: number) => Promise<string | undefined>;

/** Whether this is how the product refuses; everything else is an internal error. */
async function refusedProperly(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isMelangeError(error) || error.hint === "") throw error;
  }
}

export const judges = {
  /** Reads and compiles. */
  async recipes({ seed, folder, canary }: Ground): Promise<Judge> {
    const file = join(folder, "case.yaml");
    return async (index) => {
      await writeFile(file, hostileRecipe(randomOf(seed, index), canary));
      await refusedProperly(() => readRecipe(file, { arch: "x86_64" }));
      return undefined;
    };
  },

  /** Opens the base, runs a failing step on it with a mount and without network, reads what the step left. */
  async bases({ seed, folder, canary }: Ground): Promise<Judge> {
    const busybox = readFileSync(join((await busyboxRoot()).directory, "bin/busybox"));
    const { signal } = new AbortController();
    const engine = localEngine({ stateDirectory: join(folder, "state"), env: process.env, options: {} });
    return async (index) => {
      const random = randomOf(seed, index);
      const file = join(folder, `base-${index}.tar`);
      await writeFile(file, hostileBase(random, busybox, canary));
      const session = await engine.open({ capture: true, secrets: noSecrets, network: random.oneIn(2), signal });
      try {
        await refusedProperly(async () => {
          const cacheDirectory = join(folder, "cache");
          const { environment: base } = await openBase(file, {
            platform: { os: "linux", architecture: "amd64" },
            cacheDirectory,
            signal,
          });
          const request = {
            packages: [],
            repositories: [],
            keyring: [],
            users: [],
            groups: [],
            runAs: "",
            directories: [],
          };
          const { environment } = await composeEnvironment({
            base,
            request,
            workspace: { path: "/home/build" },
            sourceDateEpoch: 0,
            cacheDirectory,
            signal,
          });
          const step = testStep("fails", "echo x > x; exit 7", {
            mounts: random.oneIn(3)
              ? [
                  {
                    kind: "cache",
                    source: "c",
                    target: random.pick(["/var/cache/melange", "/var/a/b", "/tmp/c", "/root/c"]),
                  },
                ]
              : [],
          });
          const result = await session.run(testUnit(step), await session.load(environment, { signal }), {
            signal,
            onOutput: () => {},
          });
          if (!result.ok && !("unavailable" in result.atFailure))
            for await (const _ of session.read(result.atFailure, "/etc", { signal }));
        });
      } finally {
        await session[Symbol.asyncDispose]();
        await rm(file);
      }
      return undefined;
    };
  },
};
