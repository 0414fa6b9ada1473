import type { Bytes, StringMap } from "./bytes.ts";
import type { Environment, ImageFile, ImageSpec } from "./image.ts";
import type { Source } from "./plan.ts";
import {
  type CaptureRecord,
  describeExit,
  type FailureRecord,
  type RecordedFailure,
  recordedFailure,
  type UnitRecord,
} from "./record.ts";
import { printable } from "./redaction.ts";
import { profileScript, rerunScript } from "./rerun.ts";

export interface DebugImageParts {
  readonly record: FailureRecord;
  readonly capture: CaptureRecord;
  /** Of the environment the failed step ran in: platform and the base's own config. */
  readonly environment: Pick<Environment, "platform" | "config">;
  /** The text that the plan was made of, as it was read, and the name of its copy in the image. */
  readonly source: Pick<Source, "text" | "copyName">;
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
  const failed = recordedFailure(record);
  const { step } = failed;
  const labels = labelsOf(record, capture, failed);
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
    files: filesOf(parts, failed),
  };
}

function labelsOf(record: FailureRecord, capture: CaptureRecord, { step, failure }: RecordedFailure): StringMap {
  const { name, version, arch } = record.subject;
  return {
    "melange2.source": record.source.file,
    "melange2.source.kind": record.source.kind,
    "melange2.subject": `${name}-${version}`,
    "melange2.arch": arch,
    "melange2.build": record.build.id,
    "melange2.engine": record.engine,
    "melange2.step": step.id,
    "melange2.step.label": printable(step.label),
    "melange2.step.path": step.path,
    "melange2.step.location": `${step.location.file}:${step.location.line}:${step.location.column}`,
    "melange2.exit-code": String(failure.exit.code),
    "melange2.exit-reason": failure.exit.reason,
    "melange2.capture": capture.strategy,
    ...(capture.fallbackFrom ? { "melange2.capture.fallback-from": capture.fallbackFrom } : {}),
    "melange2.state": capture.state,
    "melange2.steps-run-again": String(capture.reexecuted),
    "melange2.exact": String(capture.exact),
  };
}

/** A line for each unit that the state holds, since a unit is what leaves a layer. */
function historyOf(record: FailureRecord, capture: CaptureRecord): readonly string[] {
  const { unit, step } = recordedFailure(record);
  // Before a later step of its unit, the state holds what the unit's earlier steps left.
  const holdsUnit = capture.state === "at-failure" || (capture.state === "before" && unit.steps[0] !== step);
  const units: UnitRecord[] = holdsUnit ? [unit] : [];
  for (let { from } = unit; "unit" in from; ) {
    const id = from.unit;
    const earlier = record.units.find((other) => other.id === id);
    if (earlier === undefined) throw new TypeError(`the record has no unit ${id}`);
    units.unshift(earlier);
    ({ from } = earlier);
  }
  return units.map(({ id }) => `melange2: ${id}`);
}

function filesOf(parts: DebugImageParts, failed: RecordedFailure): readonly ImageFile[] {
  const { step } = failed;
  const record: FailureRecord = { ...parts.record, capture: parts.capture };
  const env = Object.entries(step.env).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    directory(""),
    text("record.json", `${JSON.stringify(record, undefined, 2)}\n`),
    text(parts.source.copyName, parts.source.text),
    file("log", parts.log),
    text("script", step.script),
    text("greeting", greeting(record, parts.capture, failed)),
    text("profile", profileScript),
    text("rerun", rerunScript, 0o755),
    text("state", parts.capture.state),
    text("start-directory", parts.workspace),
    text("uid", String(step.user.uid)),
    text("gid", String(step.user.gid)),
    text("mounts", lines(step.mounts.map((mount) => `${mount.target} (${mount.kind})`))),
    text("secrets", lines(step.secretEnv)),
    ...texts(
      "env",
      env.map(([name, value]) => `${name}=${value}`),
    ),
    ...(step.command === undefined ? [] : texts("command", step.command)),
  ];
}

/** A folder with a file for each text, in order. */
function texts(name: string, values: readonly string[]): readonly ImageFile[] {
  return [directory(name), ...values.map((value, index) => text(`${name}/${String(index).padStart(4, "0")}`, value))];
}

function greeting(record: FailureRecord, capture: CaptureRecord, { step, failure }: RecordedFailure): string {
  const { name, version, arch } = record.subject;
  const state = {
    before: "as it was before the failed step",
    "before-unit": "as it was before the failed step's pipeline",
    "at-failure": "as the failed step left it",
  }[capture.state];
  return lines(
    [
      `melange2 debug image: ${name}-${version} (${arch})`,
      `  failed step  ${step.label} (${step.location.file}:${step.location.line}:${step.location.column}), ${describeExit(failure.exit, step.timeout)}`,
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
