import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../../../shared/corpus", import.meta.url));

/** Recordings of the real apko, and real indexes and packages; undefined where they are missing. */
export const corpus: string | undefined = existsSync(folder) ? folder : undefined;
