import { MelangeError } from "@melange2/core";
import type { GivenOption } from "@melange2/plugin-host";
import { Args, Flags } from "@oclif/core";
import type { ExportRequest } from "./build/export-request.ts";
import { progressModes } from "./progress/progress.ts";

/** Of a flag that may be given several times, one value each: the word behind a value is not one more. */
export const repeatable = { multiple: true, multipleNonGreedy: true } as const;

// oclif would take a missing argument from standard input, which belongs to the shell in `melange2 debug shell < script`.
export const requiredArgument = (description: string) =>
  Args.string({ description, required: true, ignoreStdin: true });

export const buildArgument = Args.string({
  description: "Id, or its beginning; default: the last failure",
  ignoreStdin: true,
});

export const progressFlag = Flags.string({
  description: "How progress is shown, on standard error",
  options: progressModes,
  default: "auto",
  env: "MELANGE2_PROGRESS",
});

export const captureFlag = Flags.string({
  description: "Which state is captured: last-good, current-state, two-phase, or one of a plugin",
  default: "current-state",
  env: "MELANGE2_CAPTURE",
});

/** The flags that say where a debug image goes and what it is made of. */
export const exportFlags = {
  "export-type": Flags.string({
    description: "The exporter",
    default: "tarball",
    env: "MELANGE2_EXPORT_TYPE",
    helpGroup: "EXPORT",
  }),
  "export-path": Flags.string({
    description: "File of the tarball, - for standard output; {package} {version} {arch} {step} {build} are filled in",
    env: "MELANGE2_EXPORT_PATH",
    helpGroup: "EXPORT",
  }),
  "export-ref": Flags.string({
    description: "Name of the image, NAME:TAG; the same placeholders",
    env: "MELANGE2_EXPORT_REF",
    helpGroup: "EXPORT",
  }),
  "export-compression": Flags.string({
    description: "Compression of the layers: none, gzip (default) or zstd",
    env: "MELANGE2_EXPORT_COMPRESSION",
    helpGroup: "EXPORT",
  }),
  "export-opt": Flags.string({
    description: "Any other option of the exporter, KEY=VALUE; may be repeated [env: MELANGE2_EXPORT_OPT, one a line]",
    ...repeatable,
    // oclif hands a variable over as one string where a list is meant.
    default: async () => process.env.MELANGE2_EXPORT_OPT?.split("\n").filter((line) => line !== ""),
    helpGroup: "EXPORT",
  }),
  capture: Flags.string({
    description: "State that is exported: last-good, current-state, two-phase, or a plugin's",
    default: "current-state",
    env: "MELANGE2_CAPTURE",
    helpGroup: "EXPORT",
  }),
  "export-allow-secrets": Flags.boolean({
    description: "Export although a secret's value was found in the state",
    env: "MELANGE2_EXPORT_ALLOW_SECRETS",
    helpGroup: "EXPORT",
  }),
};

const stdoutTaken = (why: string, hint: string) =>
  new MelangeError("usage", `--export-path=- cannot be: ${why}`, { hint });

interface ExportFlagValues {
  "export-type": string;
  "export-path"?: string | undefined;
  "export-ref"?: string | undefined;
  "export-compression"?: string | undefined;
  "export-opt"?: string[] | undefined;
  capture: string;
  "export-allow-secrets": boolean;
}

/** `json`: standard output is to hold one JSON document. Throws code `usage` where it cannot hold what else is to go there. */
export function exportRequest(flags: ExportFlagValues, json: boolean): ExportRequest {
  if (flags["export-path"] === "-") {
    if (json) throw stdoutTaken("--json goes to standard output too", "Give --export-path a file.");
    if (process.stdout.isTTY) throw stdoutTaken("standard output is a terminal", "Redirect it, or name a file.");
  }
  const named = (["path", "ref", "compression"] as const).flatMap((name): GivenOption[] => {
    const value = flags[`export-${name}`];
    return value === undefined ? [] : [{ name, value, source: `--export-${name}` }];
  });
  const others = (flags["export-opt"] ?? []).map((text): GivenOption => {
    const [name = "", ...value] = text.split("=");
    return { name, value: value.join("="), source: `--export-opt ${text}` };
  });
  return {
    type: flags["export-type"],
    capture: flags.capture,
    options: [...named, ...others],
    allowSecrets: flags["export-allow-secrets"],
  };
}
