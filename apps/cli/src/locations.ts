import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join, resolve } from "node:path";

export interface Locations {
  /** Everything that melange2 keeps: kept builds, engine states, imported bases. Absolute. */
  readonly state: string;
  readonly builds: string;
  readonly bases: string;
  /** Indexes and packages of apk repositories. */
  readonly packages: string;
  engine(name: string): string;
}

/** `MELANGE2_STATE_DIR`, else `melange2` in XDG_STATE_HOME, else in `~/.local/state`. */
export function locations(env: NodeJS.ProcessEnv): Locations {
  const xdg = env.XDG_STATE_HOME;
  const base = xdg && isAbsolute(xdg) ? xdg : join(homedir(), ".local", "state");
  const state = resolve(env.MELANGE2_STATE_DIR || join(base, "melange2"));
  return {
    state,
    builds: join(state, "builds"),
    bases: join(state, "bases"),
    packages: join(state, "packages"),
    engine: (name) => join(state, `engine-${name}`),
  };
}

/** Which of these programs are on the PATH, in the order given. */
export function installed(programs: readonly string[], env: NodeJS.ProcessEnv): readonly string[] {
  const folders = (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return programs.filter((program) => folders.some((folder) => isExecutable(join(folder, program))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
