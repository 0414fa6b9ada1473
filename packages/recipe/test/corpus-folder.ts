import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../../../shared/corpus/oracles/melange", import.meta.url));

/** Recordings of the real melange; undefined where they are missing. */
export const oracles: string | undefined = existsSync(folder) ? folder : undefined;
