import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const shared = join(root, "../shared/corpus");

/** Recordings of the real melange; undefined where they are missing. */
export const oracles: string | undefined = existsSync(join(shared, "oracles/melange"))
  ? join(shared, "oracles/melange")
  : undefined;

/** The real recipes, unpacked once into the repository's cache folder; undefined where they are missing. */
export function corpusFolder(): string | undefined {
  const archive = join(shared, "wolfi-recipes.tar.xz");
  const folder = join(root, ".work/recipe-corpus");
  if (existsSync(folder)) return folder;
  if (!existsSync(archive)) return undefined;
  mkdirSync(dirname(folder), { recursive: true });
  const partial = mkdtempSync(`${folder}-`);
  execFileSync("tar", ["-xJf", archive, "-C", partial]);
  try {
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
