import { bytes, duration } from "@melange2/build";
import { type BuildEvent, describeExit, formatLocation, printable, type StepOutline } from "@melange2/core";
import { printableText } from "../present/printable-text.ts";
import type { Progress } from "./progress.ts";
import type { TextOutput } from "./text-output.ts";

/** Tasks that are shorter than this are not worth a line. */
const longTask = 1000;

/** Whole lines, nothing overwritten: for logs of CI. Where several builds tell, each line begins with its build's subject. */
export function plainProgress(output: TextOutput): Progress {
  const builds = new Map<string, PlainBuild>();
  return {
    onEvent(event) {
      let build = builds.get(event.build);
      if (build === undefined) {
        build = plainBuild((name, text) => output.write(`${builds.size > 1 ? `${name}: ` : ""}${text}\n`));
        builds.set(event.build, build);
      }
      build.show(event);
    },
    end() {
      for (const build of builds.values()) build.end();
      output.end();
    },
  };
}

interface PlainBuild {
  show(event: BuildEvent): void;
  end(): void;
}

/** The lines of one build. `write` gets what the build is called, and a line. */
function plainBuild(write: (name: string, text: string) => void): PlainBuild {
  const tasks = new Map<
    string,
    { readonly label: string; readonly timer: NodeJS.Timeout; shown: boolean; percent: number }
  >();
  let steps: readonly StepOutline[] = [];
  let name = "melange2";
  const line = (text: string) => write(printableText(name), printableText(text));
  const numberOf = (id: string) => steps.findIndex((step) => step.id === id) + 1;

  function startTask(id: string, label: string): void {
    const timer = setTimeout(() => {
      const task = tasks.get(id);
      if (!task) return;
      task.shown = true;
      line(`=> ${label}`);
    }, longTask);
    timer.unref();
    tasks.set(id, { label, timer, shown: false, percent: 0 });
  }

  function progressTask(id: string, done: number, total: number | undefined): void {
    const task = tasks.get(id);
    if (!task?.shown || !total) return;
    const percent = Math.floor((done / total) * 10) * 10;
    if (percent <= task.percent) return;
    task.percent = percent;
    line(`=> ${task.label}: ${percent} % of ${bytes(total)}`);
  }

  function endTask(id: string, took: number): void {
    const task = tasks.get(id);
    tasks.delete(id);
    clearTimeout(task?.timer);
    if (task !== undefined && (task.shown || took >= longTask)) line(`=> ${task.label}: done in ${duration(took)}`);
  }

  function show(event: BuildEvent): void {
    switch (event.type) {
      case "build-started": {
        const { subject, build } = event;
        steps = event.steps;
        name = `${subject.name}-${subject.version}`;
        line(`melange2: ${name} (${subject.arch}), ${steps.length} steps, build ${build}`);
        break;
      }
      case "task-started":
        startTask(event.task, event.label);
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
          `=> step ${numberOf(step.id)}/${steps.length}${again} [${step.package}] ${step.label} (${formatLocation(step.location)})`,
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
    show,
    end() {
      for (const { timer } of tasks.values()) clearTimeout(timer);
      tasks.clear();
    },
  };
}

function ending(event: Extract<BuildEvent, { type: "step-finished" }>): string {
  if (event.state === "cached") return "cached";
  if (event.state === "done" || !event.exit) return `done in ${duration(event.duration)}`;
  return `FAILED, ${describeExit(event.exit, undefined)}, after ${duration(event.duration)}`;
}
