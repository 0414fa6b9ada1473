import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { type Places, placesIn } from "@melange2/build";

/** `MELANGE2_STATE_DIR`, else `melange2` in XDG_STATE_HOME, else in `~/.local/state`. */
export function locations(env: NodeJS.ProcessEnv): Places {
  const xdg = env.XDG_STATE_HOME;
  const base = xdg && isAbsolute(xdg) ? xdg : join(homedir(), ".local", "state");
  const state = resolve(env.MELANGE2_STATE_DIR || join(base, "melange2"));
  return placesIn(state);
}
