import { inspect } from "node:util";
import type { EnterOptions } from "@melange2/core";
import { busyboxEnvironment } from "./busybox-environment.ts";
import { never, openBuild, stateOf } from "./local-build.ts";

/**
 * A build in a process of its own, for tests that kill it, give it a terminal or leak descriptors into it.
 *
 *     driver.ts run STATE_DIRECTORY SCRIPT       prints the step's output as it comes, then its result
 *     driver.ts enter STATE_DIRECTORY SCRIPT     runs the script, then opens an interactive shell over what it left
 */
const [what = "", stateDirectory = "", script = ""] = process.argv.slice(2);
await using build = await openBuild({ stateDirectory });
const base = await build.session.load(busyboxEnvironment(), { signal: never });
const { result } = await build.run(base, [script], { onOutput: ({ data }) => process.stdout.write(data) });
if (what === "run") console.log(inspect(result.ok));
else {
  const options: EnterOptions = {
    signal: never,
    argv: ["/bin/sh", "-i"],
    env: { PATH: "/bin", PS1: "inside# " },
    workdir: "/home/build",
    user: { uid: 0, gid: 0 },
    mounts: [],
    files: [],
    secretEnv: [],
    tty: { interactive: true },
  };
  const state = stateOf(result);
  const exit = await build.session.enter?.(state, options);
  console.log(`exit ${exit?.code} ${exit?.reason}`);
  console.log(`left ${(await build.tree(state)).has("home/build/scratch")}`);
}
