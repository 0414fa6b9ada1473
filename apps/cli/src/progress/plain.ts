import { type BuildEvent, describeExit, formatLocation, printable, type StepOutline } from "@melange2/core";
import { bytes, duration } from "../present/quantities.ts";
import type { Progress } from "./progress.ts";

/** Whole lines, nothing overwritten: for logs of CI. */
export function plainProgress(output: NodeJS.WritableStream): Progress {
  const line = (text: string) => void output.write(`${text}\n`);
  let steps: readonly StepOutline[] = [];
  let lastProgress = { task: "", percent: 0 };
  const numberOf = (id: string) => steps.findIndex((step) => step.id === id) + 1;

  function show(event: BuildEvent): void {
    switch (event.type) {
      case "build-started":
        steps = event.steps;
        line(
          `melange2: ${event.package}-${event.version} (${event.arch}), ${steps.length} steps, build ${event.build}`,
        );
        break;
      case "task-started":
        line(`=> ${event.task}`);
        break;
      case "task-progress": {
        if (event.total === undefined || event.total === 0) break;
        const percent = Math.floor((event.done / event.total) * 10) * 10;
        if (event.task === lastProgress.task && percent <= lastProgress.percent) break;
        lastProgress = { task: event.task, percent };
        line(`=> ${event.task}: ${percent} % of ${bytes(event.total)}`);
        break;
      }
      case "task-finished":
        line(`=> ${event.task}: done in ${duration(event.duration)}`);
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
      case "step-finished": {
        const how =
          event.state === "failed" && event.exit
            ? `FAILED, ${describeExit(event.exit, undefined)}, after`
            : event.state === "cached"
              ? "cached,"
              : "done in";
        line(`=> step ${numberOf(event.step)}/${steps.length} ${how} ${duration(event.duration)}`);
        break;
      }
      case "notice":
        line(`${event.level}: ${event.message}${event.hint ? `\n  hint: ${event.hint}` : ""}`);
        break;
      case "captured":
      case "exported":
      case "build-finished":
        break;
    }
  }
  return { onEvent: show, end: () => {} };
}
