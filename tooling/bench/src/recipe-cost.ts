import { join } from "node:path";
import { run } from "@melange2-tooling/machine";

/** What a process takes that compiles all recipes of the corpus, one after another. */
export interface RecipeCost {
  readonly recipes: number;
  /** Steps of all plans. */
  readonly steps: number;
  /** Milliseconds of CPU that the process took, its start among them. */
  readonly cpu: number;
  /** The most bytes that the process held at a time. */
  readonly memory: number;
}

/** `folder`: the corpus, with `recipes` and `pipelines`. */
export async function measureRecipes(folder: string): Promise<RecipeCost> {
  const program = join(import.meta.dirname, "compile-corpus.ts");
  // The limit of memory is that of the command melange2, whose first line has the same flag.
  const flags = ["--max-semi-space-size=16", "--conditions=melange2-source"];
  return JSON.parse(await run([process.execPath, ...flags, program, folder]));
}
