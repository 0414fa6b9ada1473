import { type BuildEvent, describeExit, formatLocation, printable, type StepOutline } from "@melange2/core";
import { bytes, duration } from "../present/quantities.ts";
import type { Progress } from "./progress.ts";
import type { TextOutput } from "./text-output.ts";

/** Tasks that are shorter than this are not worth a line. */
const longTask = 1000;

/** Whole lines, nothing overwritten: for logs of CI. */
export function plainProgress(output: TextOutput): Progress {
  const line = (text: string) => output.write(`${text}\n`);
  const tasks = new Map<string, { readonly timer: NodeJS.Timeout; shown: boolean; percent: number }>();
  let steps: readonly StepOutline[] = [];
  const numberOf = (id: string) => steps.findIndex((step) => step.id === id) + 1;

  function startTask(name: string): void {
    const timer = setTimeout(() => {
      const task = tasks.get(name);
      if (!task) return;
      task.shown = true;
      line(`=> ${name}`);
    }, longTask);
    timer.unref();
    tasks.set(name, { timer, shown: false, percent: 0 });
  }

  function progressTask(name: string, done: number, total: number | undefined): void {
    const task = tasks.get(name);
    if (!task?.shown || !total) return;
    const percent = Math.floor((done / total) * 10) * 10;
    if (percent <= task.percent) return;
    task.percent = percent;
    line(`=> ${name}: ${percent} % of ${bytes(total)}`);
  }

  function endTask(name: string, took: number): void {
    const task = tasks.get(name);
    tasks.delete(name);
    clearTimeout(task?.timer);
    if (task?.shown || took >= longTask) line(`=> ${name}: done in ${duration(took)}`);
  }

  function show(event: BuildEvent): void {
    switch (event.type) {
      case "build-started":
        steps = event.steps;
        line(
          `melange2: ${event.package}-${event.version} (${event.arch}), ${steps.length} steps, build ${event.build}`,
        );
        break;
      case "task-started":
        startTask(event.task);
        break;
      case "task-progress":
        progressTask(event.task, event.done, event.total);
        break;
      case "task-finished":
        endTask(event.task, event.duration);
        break;
      case "step-started": {
        const step = steps.find((one) => one.id === event.step);
        if (!step) break;
        const again = event.again ? " again" : "";
        line(
          `=> step ${numberOf(step.id)}/${steps.length}${again} [${step.package}] ${printable(step.label)} (${formatLocation(step.location)})`,
        );
        break;
      }
      case "step-output":
        line(`   ${numberOf(event.step)}| ${printable(event.text)}`);
        break;
      case "step-finished":
        line(`=> step ${numberOf(event.step)}/${steps.length} ${ending(event)}`);
        break;
      case "notice":
        line(`${event.level}: ${event.message}${event.hint ? `\n  hint: ${event.hint}` : ""}`);
        break;
      case "captured":
      case "exported":
      case "build-finished":
        break;
    }
  }
  return {
    onEvent: show,
    end() {
      for (const { timer } of tasks.values()) clearTimeout(timer);
      tasks.clear();
      output.end();
    },
  };
}

function ending(event: Extract<BuildEvent, { type: "step-finished" }>): string {
  if (event.state === "cached") return "cached";
  if (event.state === "done" || !event.exit) return `done in ${duration(event.duration)}`;
  return `FAILED, ${describeExit(event.exit, undefined)}, after ${duration(event.duration)}`;
}
