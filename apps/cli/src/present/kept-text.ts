import type { StoredFailure, UnreadableFailure } from "@melange2/build";
import { formatLocation, printable, recordedFailure, recordedSteps } from "@melange2/core";
import { printableText } from "./printable-text.ts";
import { shellQuote } from "./shell-quote.ts";

export function listText(failures: readonly StoredFailure[], unreadable: readonly UnreadableFailure[]): string {
  if (failures.length === 0 && unreadable.length === 0) return "no failed builds are kept here\n";
  const rows = failures.map(({ id, record, exports }) => {
    const { name, version, arch } = record.subject;
    const { step, failure } = recordedFailure(record);
    return [id, `${name}-${version}`, arch, step.label, failure.message, exports.length > 0 ? "exported" : ""];
  });
  const header = ["BUILD", "PACKAGE", "ARCH", "FAILED STEP", "HOW", ""];
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0)));
  const lines = [header, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const others = unreadable.map(({ id, why }) => `${id}  ${why}; melange2 debug prune ${id}`);
  return `${printableText([...lines, ...others].join("\n"))}\n`;
}

const marks = { done: "✔", cached: "✔", failed: "✘", "not-run": "·" } as const;

export function showText(stored: StoredFailure, log: Uint8Array, command: readonly string[]): string {
  const { record, exports } = stored;
  const { name, version, arch } = record.subject;
  const { step, failure } = recordedFailure(record);
  const tail = new TextDecoder()
    .decode(log.subarray(Math.max(0, log.length - 4096)))
    .split("\n")
    .slice(-11, -1);
  const lines = [
    `build ${stored.id}: ${name}-${version} (${arch}), engine ${record.engine}, ${record.build.ended}`,
    `failed in step "${step.label}" of ${step.package}: ${failure.message}`,
    `  at ${formatLocation(step.location)} (${step.path})`,
    `  workdir ${step.workdir}, user ${step.user.uid}:${step.user.gid}${step.mounts.map((mount) => `, ${mount.target} mounted${mount.kind === "cache" ? ` from ${mount.source}` : ` (${mount.kind})`}`).join("")}`,
    "steps:",
    ...recordedSteps(record).map(
      (one) => `  ${marks[one.state]} [${one.package}] ${one.label}${one.state === "cached" ? " (cached)" : ""}`,
    ),
    ...(tail.length > 0 ? ["last output:", ...tail.map((line) => `  ${printable(line)}`)] : []),
    ...(exports.length > 0
      ? [
          "exported to:",
          ...exports.map((one) => `  ${one.location}  ${one.imageId}  (${one.capture.strategy}, ${one.at})`),
        ]
      : []),
    "commands:",
    ...["shell", "rerun", "export"].map((verb) => `  ${shellQuote([...command, "debug", verb, stored.id])}`),
  ];
  return `${printableText(lines.join("\n"))}\n`;
}
