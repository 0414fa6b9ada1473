import { shellQuote } from "./shell-quote.ts";

export interface StepScript {
  readonly fragment: string;
  readonly workdir: string;
  /** Directories made before anything else, absolute. */
  readonly directories: readonly string[];
  /** Every command is shown before it runs. */
  readonly debug: boolean;
}

/** The script of a step, for busybox ash, bash and dash alike. dash up to 0.5.12 has no pipefail and dies of asking for it. */
export function stepScript({ fragment, workdir, directories, debug }: StepScript): string {
  const dir = shellQuote(workdir);
  return [
    "set -e",
    "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi",
    ...directories.map((directory) => `mkdir -p ${shellQuote(directory)}`),
    `[ -d ${dir} ] || mkdir -p ${dir}`,
    `cd ${dir}`,
    ...(debug ? ["set -x"] : []),
    // The empty line ends a last line that ends in a backslash.
    fragment.endsWith("\n") ? fragment : `${fragment}\n`,
    "exit 0",
  ].join("\n");
}
