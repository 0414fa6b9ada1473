import { type BuildReport, bytes, type ExportReport, type FailureReport } from "@melange2/build";
import { formatLocation, printable } from "@melange2/core";
import { debugExportWords } from "../flags.ts";
import { printableText } from "./printable-text.ts";
import { shellQuote } from "./shell-quote.ts";

/** The end of a build as people read it. `command`: how melange2 is called here. */
export function buildText(report: BuildReport, command: readonly string[]): string {
  const subject = `${report.package}-${report.version} (${report.arch})`;
  if (report.status === "built") {
    const lines = (report.output ?? []).map((one) => `  ${one.directory}`);
    return text([`built ${subject}`, ...lines]);
  }
  if (!report.failure) throw new TypeError("a build that was not built has a failure");
  return text(["", ...failureLines(subject, report, report.failure, command), ""]);
}

function failureLines(
  subject: string,
  report: BuildReport,
  failure: FailureReport,
  command: readonly string[],
): readonly string[] {
  const verb = report.status === "interrupted" ? "was interrupted in" : "failed in";
  return [
    `${subject} ${verb} step "${failure.label}" of ${failure.package}: ${failure.message}`,
    `  at ${formatLocation(failure.location)} (${failure.path})`,
    ...(failure.lastLines.length > 0 ? ["  last output:"] : []),
    ...failure.lastLines.map((line) => `    ${printable(line)}`),
    ...(failure.export ? exportLines(report.build, failure.export, command) : []),
    ...(failure.kept ? keptLines(report.build, failure, command) : []),
    ...openLines(failure.export),
  ];
}

function exportLines(build: string, exported: ExportReport, command: readonly string[]): readonly string[] {
  if (!exported.ok) {
    return [
      `  the export (${exported.exporter}) failed: ${exported.message}`,
      `    hint: ${exported.hint}`,
      ...(exported.again
        ? [`    try again: ${shellQuote([...command, ...debugExportWords(build, exported.again)])}`]
        : []),
    ];
  }
  const { receipt, capture } = exported;
  const states = {
    before: "as it was before the step",
    "before-unit": "as it was before the step's pipeline",
    "at-failure": "as the step left it",
  };
  const fallback = capture.fallbackFrom ? " could not be had" : "";
  return [
    `  exported to ${receipt.location}${receipt.bytes > 0 ? ` (${bytes(receipt.bytes)})` : ""}`,
    `    image ${receipt.imageId}`,
    `    state ${states[capture.state]} (${capture.strategy}${fallback}; ${capture.reexecuted} ${capture.reexecuted === 1 ? "step" : "steps"} run again)`,
    ...(capture.note ? [`    note: ${capture.note}`] : []),
    ...(receipt.note ? [`    note: ${receipt.note}`] : []),
  ];
}

/** What a later export did, as people read it. */
export function receiptText(exported: Extract<ExportReport, { ok: true }>): string {
  return text([...exportLines("", exported, []), ...openLines(exported)].map((line) => line.replace(/^ {2}/, "")));
}

function keptLines(build: string, failure: FailureReport, command: readonly string[]): readonly string[] {
  const call = (...args: readonly string[]) => `    ${shellQuote([...command, ...args])}`;
  return [
    "  open a shell where it broke:",
    call("debug", "shell", build),
    "  run the step again:",
    call("debug", "rerun", build),
    ...(failure.export ? [] : ["  export it as an image:", call("debug", "export", build)]),
  ];
}

function openLines(exported: ExportReport | undefined): readonly string[] {
  if (!exported?.ok || exported.receipt.open.length === 0) return [];
  return ["  as a container, here or elsewhere:", ...exported.receipt.open.map((argv) => `    ${shellQuote(argv)}`)];
}

function text(lines: readonly string[]): string {
  return `${printableText(lines.join("\n"))}\n`;
}
