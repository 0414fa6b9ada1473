import { once } from "node:events";
import type { Place } from "./melange2.ts";
import { until } from "./observe.ts";

/** A real terminal with a program in it, as a person has before them. */
export interface Terminal {
  /** Everything that the screen was sent so far, `\r\n` as `\n`. */
  seen(): string;
  /** Types the keys; resolves when what comes on the screen from then on has the text, gives what came. */
  type(keys: string, expected: string): Promise<string>;
  shows(text: string): Promise<void>;
  /** Types the keys that end the program; its exit code. */
  end(keys: string): Promise<number | null>;
}

/** Runs a command line of the shell in a pseudo-terminal made by util-linux' script(1). */
export function terminal(here: Place, line: string, env: NodeJS.ProcessEnv = {}): Terminal {
  const child = here.spawn(["script", "-qefc", line, "/dev/null"], { TERM: "xterm", SHELL: "/bin/sh", ...env });
  let screen = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      screen += text.replaceAll("\r\n", "\n");
    });
  const closed = once(child, "close") as Promise<[number | null]>;
  const has = (text: string, from: number) =>
    until(
      () => screen.indexOf(text, from) >= 0,
      () => `${JSON.stringify(text)} on a screen that shows ${JSON.stringify(screen.slice(from))}`,
    );
  return {
    seen: () => screen,
    shows: (text) => has(text, 0),
    async type(keys, expected) {
      const from = screen.length;
      child.stdin.write(keys);
      await has(expected, from);
      return screen.slice(from);
    },
    async end(keys) {
      child.stdin.write(keys);
      const [code] = await closed;
      return code;
    },
  };
}
