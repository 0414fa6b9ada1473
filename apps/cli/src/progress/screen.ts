import { bytes, duration } from "@melange2/build";
import { type BuildEvent, describeExit, formatLocation, printable, type StepOutline } from "@melange2/core";

/** What the live part of the screen shows of one build, as data: a pure fold over the build's events. */
interface BuildScreen {
  /** What the build is called where several are shown. */
  readonly name: string;
  readonly steps: readonly StepOutline[];
  readonly finished: number;
  readonly running: { readonly step: StepOutline; readonly since: number; readonly again: boolean } | undefined;
  readonly tasks: readonly {
    readonly id: string;
    readonly label: string;
    readonly since: number;
    readonly done?: number;
    readonly total?: number;
  }[];
  readonly tail: readonly string[];
}

/** The live part of the screen, by build. */
export type Screen = ReadonlyMap<string, BuildScreen>;

export const emptyScreen: Screen = new Map();

const newBuild: BuildScreen = { name: "melange2", steps: [], finished: 0, running: undefined, tasks: [], tail: [] };

const tailLines = 8;

/** The screen after an event, and the lines that stay above it for good. Where several builds tell, each line begins with its build's subject. */
export function advance(screen: Screen, event: BuildEvent, now: number): { screen: Screen; lines: readonly string[] } {
  const next = advanceBuild(screen.get(event.build) ?? newBuild, event, now);
  const builds = new Map([...screen, [event.build, next.screen] as const]);
  return { screen: builds, lines: next.lines.map((line) => prefixOf(builds, next.screen) + line) };
}

const prefixOf = (screen: Screen, { name }: BuildScreen): string => (screen.size > 1 ? `${name}: ` : "");

function advanceBuild(
  screen: BuildScreen,
  event: BuildEvent,
  now: number,
): { screen: BuildScreen; lines: readonly string[] } {
  switch (event.type) {
    case "build-started": {
      const { name, version, arch } = event.subject;
      const title = `melange2: ${name}-${version} (${arch}), build ${event.build}`;
      return { screen: { ...screen, name: `${name}-${version}`, steps: event.steps }, lines: [title] };
    }
    case "task-started": {
      const task = { id: event.task, label: event.label, since: now };
      return { screen: { ...screen, tasks: [...screen.tasks, task] }, lines: [] };
    }
    case "task-progress": {
      const { task, done, total } = event;
      const tasks = screen.tasks.map((one) =>
        one.id === task ? { ...one, done, ...(total === undefined ? {} : { total }) } : one,
      );
      return { screen: { ...screen, tasks }, lines: [] };
    }
    case "task-finished": {
      const task = screen.tasks.find((one) => one.id === event.task);
      const tasks = screen.tasks.filter((one) => one.id !== event.task);
      const worthALine = task !== undefined && event.duration >= 1000;
      return {
        screen: { ...screen, tasks },
        lines: worthALine ? [mark("done", task.label, duration(event.duration))] : [],
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
  const lines = [...screen.values()].flatMap((build) =>
    drawBuild(build, now).map((line) => prefixOf(screen, build) + line),
  );
  return lines.slice(0, Math.max(1, size.rows - 1)).map((line) => cut(line, size.columns - 1));
}

function drawBuild({ tasks, running, finished, steps, tail }: BuildScreen, now: number): readonly string[] {
  const lines = tasks.map((task) => `… ${task.label}${amount(task)}  ${duration(now - task.since)}`);
  if (!running) return lines;
  const { step, since, again } = running;
  const count = `${finished + 1}/${steps.length}`;
  return [
    ...lines,
    `▶ ${count} [${step.package}] ${printable(step.label)}${again ? " again" : ""}  ${duration(now - since)}  ${formatLocation(step.location)}`,
    ...tail.map((line) => `    ${line}`),
  ];
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
