import { existsSync, realpathSync } from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { MelangeError } from "@melange2/core";
import type { PipelineSource } from "./pipeline-definitions.ts";
import { readTextFile } from "./text-file.ts";

/** The folder of the pipelines that come with melange2, beside `src` and `dist` alike. */
const builtIn = fileURLToPath(new URL("../pipelines", import.meta.url));

/** Where packages of the system put pipelines. */
const installed = "/usr/share/melange/pipelines";

/**
 * Pipelines from directories, in order, then the built-in ones, and last those that are installed on this machine, so that what
 * is installed never changes a build that does without it. Files are read when a recipe uses them.
 */
export function pipelineDirectories(directories: readonly string[], last: string = installed): PipelineSource {
  return {
    searched: [...directories, "the built-in pipelines", last],
    find(uses) {
      for (const directory of [...directories, builtIn, last]) {
        const file = join(directory, `${uses}.yaml`);
        if (!existsSync(file)) continue;
        refuseEscape(directory, file, uses);
        return {
          file: directory === builtIn ? `built-in:${uses}.yaml` : file,
          text: readTextFile(file, "the pipeline"),
        };
      }
      return undefined;
    },
  };
}

function refuseEscape(directory: string, file: string, uses: string): void {
  const path = relative(realpathSync(directory), realpathSync(file));
  if (path !== ".." && !path.startsWith(`..${sep}`) && !isAbsolute(path)) return;
  throw new MelangeError("recipe", `the pipeline "${uses}" leads out of ${directory} through a symbolic link`, {
    hint: "Put the file itself into the pipeline directory.",
  });
}
