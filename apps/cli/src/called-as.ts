import { realpathSync } from "node:fs";
import { relative } from "node:path";
import { installed } from "@melange2/build";

/**
 * How printed commands begin, so that they can be pasted: `melange2` where that is on the PATH, `npx -- melange2` where it was started
 * through a package's scripts, else this very program by its path.
 */
export function calledAs(env: NodeJS.ProcessEnv): readonly string[] {
  if (env.npm_lifecycle_event !== undefined || env.npm_command === "exec") return ["npx", "--", "melange2"];
  if (installed(["melange2"], env).length > 0) return ["melange2"];
  const program = realpathSync(process.argv[1] ?? "");
  const near = relative(process.cwd(), program);
  return [process.execPath, near.startsWith("..") ? program : near];
}
