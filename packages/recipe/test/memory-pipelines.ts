import type { PipelineSource } from "../src/index.ts";

/** Pipelines from memory, by the name that `uses` has. */
export function memoryPipelines(files: Readonly<Record<string, string>>): PipelineSource {
  return {
    searched: ["memory"],
    find: (uses) => {
      const text = files[uses];
      return text === undefined ? undefined : { file: `${uses}.yaml`, text };
    },
  };
}
