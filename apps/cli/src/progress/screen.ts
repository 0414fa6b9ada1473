import { type BuildEvent, describeExit, formatLocation, printable, type StepOutline } from "@melange2/core";
import { bytes, duration } from "../present/quantities.ts";

/** What the live part of the screen shows, as data: a pure fold over the events. */
export interface Screen {
  readonly title: string;
  readonly steps: readonly StepOutline[];
  readonly finished: number;
  readonly running: { readonly step: StepOutline; readonly since: number; readonly again: boolean } | undefined;
  readonly tasks: readonly {
    readonly name: string;
    readonly since: number;
    readonly done?: number;
    readonly total?: number;
  }[];
  readonly tail: readonly string[];
}

export const emptyScreen: Screen = { title: "", steps: [], finished: 0, running: undefined, tasks: [], tail: [] };

const tailLines = 8;

/** The screen after an event, and the lines that stay above it for good. */
export function advance(screen: Screen, event: BuildEvent, now: number): { screen: Screen; lines: readonly string[] } {
  switch (event.type) {
    case "build-started": {
      const title = `melange2: ${event.package}-${event.version} (${event.arch}), build ${event.build}`;
      return { screen: { ...screen, title, steps: event.steps }, lines: [title] };
    }
    case "task-started":
      return { screen: { ...screen, tasks: [...screen.tasks, { name: event.task, since: now }] }, lines: [] };
    case "task-progress": {
      const { task, done, total } = event;
      const tasks = screen.tasks.map((one) =>
        one.name === task ? { ...one, done, ...(total === undefined ? {} : { total }) } : one,
      );
      return { screen: { ...screen, tasks }, lines: [] };
    }
    case "task-finished": {
      const tasks = screen.tasks.filter((one) => one.name !== event.task);
      return {
        screen: { ...screen, tasks },
        lines: event.duration >= 1000 ? [mark("done", event.task, duration(event.duration))] : [],
      };
    }
    case "step-started": {
      const step = screen.steps.find((one) => one.id === event.step);
      if (!step) return { screen, lines: [] };
      return { screen: { ...screen, running: { step, since: now, again: event.again }, tail: [] }, lines: [] };
    }
    case "step-output":
      return { screen: { ...screen, tail: [...screen.tail, printable(event.text)].slice(-tailLines) }, lines: [] };
    case "step-finished": {
      const step = screen.steps.find((one) => one.id === event.step);
      if (!step) return { screen, lines: [] };
      const took = event.state === "cached" ? "cached" : duration(event.duration);
      const exit = event.state === "failed" && event.exit ? `, ${describeExit(event.exit, undefined)}` : "";
      const again = event.again ? " again" : "";
      const finished = screen.finished + (event.again || event.state === "failed" ? 0 : 1);
      return {
        screen: { ...screen, running: undefined, tail: [], finished },
        lines: [mark(event.state, `[${step.package}] ${printable(step.label)}${again}`, `${took}${exit}`)],
      };
    }
    case "notice":
      return { screen, lines: [`${event.level}: ${event.message}`, ...(event.hint ? [`  hint: ${event.hint}`] : [])] };
    case "captured":
    case "exported":
    case "build-finished":
      return { screen, lines: [] };
  }
}

/** The live lines, at most `rows`, each cut to `columns`. */
export function draw(screen: Screen, now: number, size: { columns: number; rows: number }): readonly string[] {
  const lines: string[] = [];
  for (const task of screen.tasks) lines.push(`… ${task.name}${amount(task)}  ${duration(now - task.since)}`);
  if (screen.running) {
    const { step, since, again } = screen.running;
    const count = `${screen.finished + 1}/${screen.steps.length}`;
    lines.push(
      `▶ ${count} [${step.package}] ${printable(step.label)}${again ? " again" : ""}  ${duration(now - since)}  ${formatLocation(step.location)}`,
    );
    lines.push(...screen.tail.map((line) => `    ${line}`));
  }
  return lines.slice(0, Math.max(1, size.rows - 1)).map((line) => cut(line, size.columns - 1));
}

function amount(task: { done?: number; total?: number }): string {
  if (task.done === undefined) return "";
  return task.total === undefined ? ` ${bytes(task.done)}` : ` ${bytes(task.done)} of ${bytes(task.total)}`;
}

function mark(state: "done" | "cached" | "failed", text: string, right: string): string {
  return `${{ done: "✔", cached: "✔", failed: "✘" }[state]} ${text}  ${right}`;
}

function cut(line: string, columns: number): string {
  const flat = line.replaceAll("\t", "  ");
  return flat.length <= columns ? flat : `${flat.slice(0, Math.max(0, columns - 1))}…`;
}
