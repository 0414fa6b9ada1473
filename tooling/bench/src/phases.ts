import type { BuildEvent } from "@melange2/core";

export interface Phase {
  readonly name: string;
  readonly ms: number;
}

/** An event and when it came, in ms since the start of the process. */
export interface Seen {
  readonly at: number;
  readonly event: BuildEvent;
}

/** What a failing build spent its time on, in order, from its events: everything from the start of the process to its end is in one phase. */
export function phases(seen: readonly Seen[], end: number): readonly Phase[] {
  const marks = seen.flatMap(({ at, event }) => {
    const next = phaseAfter(event);
    return next === undefined ? [] : [{ at, next }];
  });
  let name = "start of the process, recipe, exporter";
  let since = 0;
  const found: Phase[] = [];
  for (const { at, next } of [...marks, { at: end, next: "" }]) {
    found.push({ name, ms: at - since });
    name = next;
    since = at;
  }
  return found;
}

/** What a build goes on with after an event; undefined: with the same. */
function phaseAfter(event: BuildEvent): string | undefined {
  switch (event.type) {
    case "task-started":
      return event.task;
    case "task-finished":
      return afterTask[event.task];
    case "build-started":
      return "plan";
    case "step-started":
      return `step ${event.step}`;
    case "step-finished":
      return event.state === "failed" ? "keep the states, drop old ones" : "between steps";
    case "exported":
      return "report, clean up, end of the process";
    default:
      return undefined;
  }
}

const afterTask: Readonly<Record<string, string>> = {
  "open base": "prepare the workspace",
  "compose build": "check and open the engine",
  "load build": "before the first step",
};
