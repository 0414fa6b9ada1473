import type { Bytes, StringMap } from "./bytes.ts";
import type { Environment, ImageFile, ImageSpec } from "./image.ts";
import { type CaptureRecord, describeExit, type FailureRecord, failedStep, type StepRecord } from "./record.ts";
import { printable } from "./redaction.ts";
import { profileScript, rerunScript } from "./rerun.ts";

export interface DebugImageParts {
  readonly record: FailureRecord;
  readonly capture: CaptureRecord;
  /** Of the environment the failed step ran in: platform and the base's own config. */
  readonly environment: Pick<Environment, "platform" | "config">;
  /** The recipe's text, as it was read. */
  readonly recipe: string;
  /** The failed step's output, without secrets. */
  readonly log: Uint8Array;
  /** Where the step's process stood before its script changed directory; absolute. */
  readonly workspace: string;
}

/** The directory of a debug image that explains it, relative to `/`. */
export const debugDirectory = ".melange2";

/** What makes an image of a snapshot: config, labels and the files of `/.melange2`. Pure; equal parts give an equal image. */
export function debugImageSpec(parts: DebugImageParts): ImageSpec {
  const { record, capture, environment } = parts;
  const step = failedStep(record);
  const labels = labelsOf(record, capture, step);
  const root = step.user.uid === 0 && step.user.gid === 0;
  return {
    platform: environment.platform,
    config: {
      // A recipe that sets ENV itself keeps it: the step saw that value.
      Env: Object.entries({ ENV: `/${debugDirectory}/profile`, ...step.env }).map(
        ([name, value]) => `${name}=${value}`,
      ),
      WorkingDir: step.workdir,
      Cmd: ["/bin/sh"],
      ...(root ? {} : { User: `${step.user.uid}:${step.user.gid}` }),
    },
    labels: { ...environment.config.Labels, ...labels },
    annotations: {
      "org.opencontainers.image.created": record.build.ended,
      "org.opencontainers.image.title": `${labels["melange2.package"]}, failed at ${labels["melange2.step"]}`,
      ...labels,
    },
    created: record.build.ended,
    history: historyOf(record, capture),
    files: filesOf(parts, step),
  };
}

function labelsOf(record: FailureRecord, capture: CaptureRecord, step: StepRecord): StringMap {
  const { name, version, epoch, arch } = record.package;
  return {
    "melange2.recipe": record.recipe.file,
    "melange2.package": `${name}-${version}-r${epoch}`,
    "melange2.arch": arch,
    "melange2.build": record.build.id,
    "melange2.engine": record.engine,
    "melange2.step": step.id,
    "melange2.step.label": printable(step.label),
    "melange2.step.path": step.path,
    "melange2.step.location": `${step.location.file}:${step.location.line}:${step.location.column}`,
    "melange2.exit-code": String(record.failure.exit.code),
    "melange2.exit-reason": record.failure.exit.reason,
    "melange2.capture": capture.strategy,
    ...(capture.fallbackFrom ? { "melange2.capture.fallback-from": capture.fallbackFrom } : {}),
    "melange2.state": capture.state,
    "melange2.steps-run-again": String(capture.reexecuted),
    "melange2.exact": String(capture.exact),
  };
}

/** A line for each unit that the state holds: a unit is what leaves a layer. */
function historyOf(record: FailureRecord, capture: CaptureRecord): readonly string[] {
  const failed = failedStep(record);
  const end = record.steps.indexOf(failed) + (capture.state === "at-failure" ? 1 : 0);
  const units = new Set(record.steps.slice(0, end).map((step) => step.unit));
  if (capture.state === "before-unit") units.delete(failed.unit);
  return [...units].map((unit) => `melange2: ${unit}`);
}

function filesOf(parts: DebugImageParts, step: StepRecord): readonly ImageFile[] {
  const record: FailureRecord = { ...parts.record, capture: parts.capture };
  const env = Object.entries(step.env).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    directory(""),
    text("record.json", `${JSON.stringify(record, undefined, 2)}\n`),
    text("recipe.yaml", parts.recipe),
    file("log", parts.log),
    text("script", step.script),
    text("greeting", greeting(record, parts.capture, step)),
    text("profile", profileScript),
    text("rerun", rerunScript, 0o755),
    text("state", parts.capture.state),
    text("start-directory", parts.workspace),
    text("uid", String(step.user.uid)),
    text("gid", String(step.user.gid)),
    text("mounts", lines(step.mounts.map((mount) => `${mount.target} (${mount.kind})`))),
    text("secrets", lines(step.secretEnv)),
    directory("env"),
    ...env.map(([name, value], index) => text(`env/${String(index).padStart(4, "0")}`, `${name}=${value}`)),
  ];
}

function greeting(record: FailureRecord, capture: CaptureRecord, step: StepRecord): string {
  const { name, version, epoch, arch } = record.package;
  const state = {
    before: "as it was before the failed step",
    "before-unit": "as it was before the failed step's pipeline",
    "at-failure": "as the failed step left it",
  }[capture.state];
  return lines(
    [
      `melange2 debug image: ${name}-${version}-r${epoch} (${arch})`,
      `  failed step  ${step.label} (${step.location.file}:${step.location.line}:${step.location.column}), ${describeExit(record.failure.exit, step.timeout)}`,
      `  this state   ${state}${capture.exact ? "" : ", made again"}`,
      ...(capture.note ? [`  note         ${capture.note}`] : []),
      `  run it again /${debugDirectory}/rerun`,
      `  its script   /${debugDirectory}/script   its output /${debugDirectory}/log   everything /${debugDirectory}/record.json`,
    ].map(printable),
  );
}

const lines = (items: readonly string[]): string => items.map((item) => `${item}\n`).join("");

const owner = { uid: 0, gid: 0 };

function directory(name: string): ImageFile {
  const path = name === "" ? debugDirectory : `${debugDirectory}/${name}`;
  return { path, kind: "directory", mode: 0o755, owner, size: 0, open: () => bytesOf() };
}

function file(name: string, content: Uint8Array, mode = 0o644): ImageFile {
  const path = `${debugDirectory}/${name}`;
  return { path, kind: "file", mode, owner, size: content.length, open: () => bytesOf(content) };
}

const encoder = new TextEncoder();
function text(name: string, content: string, mode?: number): ImageFile {
  return file(name, encoder.encode(content), mode);
}

async function* bytesOf(...chunks: readonly Uint8Array[]): Bytes {
  yield* chunks;
}
