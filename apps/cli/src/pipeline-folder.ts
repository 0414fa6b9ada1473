import { statSync } from "node:fs";
import { MelangeError } from "@melange2/core";

/** A folder that is not there would be searched in vain, and the built-in pipeline of the same name taken instead. Throws code `usage`. */
export function refuseMissingFolder(pipelineDirectory: string): void {
  if (statSync(pipelineDirectory, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new MelangeError("usage", `--pipeline-dir ${pipelineDirectory} is not a folder`, {
    hint: "Give the folder that the names in `uses` are relative to.",
  });
}
