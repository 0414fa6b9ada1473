import { resolve } from "node:path";
import type { BuildOptions, ExportAgain, ExportRequest, PackageOptions } from "@melange2/build";
import { MelangeError } from "@melange2/core";
import { type GivenOption, optionVariable } from "@melange2/plugin-host";
import { Args, Flags, type Interfaces } from "@oclif/core";
import { defaults, helpTexts } from "./defaults.ts";
import { otherOptions } from "./other-options.ts";
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
  description: helpTexts.kept,
  default: defaults.capture,
  env: "MELANGE2_CAPTURE",
});

/** The flags that say what a recipe is compiled for, and with what. */
export const recipeFlags = {
  arch: Flags.string({ description: "Architecture of the packages; default: this machine's" }),
  "pipeline-dir": Flags.string({ description: "Where `uses` looks before the built-in pipelines", ...repeatable }),
  "vars-file": Flags.string({ description: "YAML file of values for the recipe's vars, over its own" }),
  "build-option": Flags.string({ description: "An option of the recipe's options to build with", ...repeatable }),
  libc: Flags.option({
    aliases: ["override-host-triplet-libc-substitution-flavor"],
    description: "The C library that host.triplet.gnu and host.triplet.rust name",
    options: ["gnu", "musl"] as const,
    default: "gnu",
  })(),
};

const packagesGroup = { helpGroup: "PACKAGES" } as const;

/** The flags that say where the packages of an environment are from; melange's own names. */
export const packageFlags = {
  "repository-append": Flags.string({
    char: "r",
    description:
      "Package repository, beside the recipe's: an address of http or https, or a folder; @TAG ADDRESS tags it",
    ...repeatable,
    ...packagesGroup,
  }),
  "keyring-append": Flags.string({
    char: "k",
    description: "Public key that repositories are signed with, beside the recipe's: a file or an address",
    ...repeatable,
    ...packagesGroup,
  }),
  "package-append": Flags.string({
    description: "Package in the environment, beside the recipe's",
    ...repeatable,
    ...packagesGroup,
  }),
  "ignore-signatures": Flags.boolean({
    description: "Take package indexes that no known key has signed",
    ...packagesGroup,
  }),
  "apk-cache-dir": Flags.string({
    description: "Where package indexes and packages are kept; default: in melange2's state folder",
    ...packagesGroup,
  }),
  "lock-file": Flags.string({
    description: "File of the exact packages: build takes just these, environment writes it",
    ...packagesGroup,
  }),
  offline: Flags.boolean({
    description: "Take indexes and packages from the cache, and fetch nothing over the network",
    ...packagesGroup,
  }),
};

type PackageFlagValues = Interfaces.InferredFlags<typeof packageFlags>;

export function packageRequest(flags: PackageFlagValues): {
  readonly additions: NonNullable<BuildOptions["additions"]>;
  readonly packages: PackageOptions;
} {
  return {
    additions: {
      packages: flags["package-append"] ?? [],
      repositories: flags["repository-append"] ?? [],
      keyring: flags["keyring-append"] ?? [],
    },
    packages: {
      cacheDirectory: flags["apk-cache-dir"] === undefined ? undefined : resolve(flags["apk-cache-dir"]),
      ignoreSignatures: flags["ignore-signatures"],
      offline: flags.offline,
      ...(flags["lock-file"] === undefined ? {} : { lock: resolve(flags["lock-file"]) }),
    },
  };
}

const exportGroup = { helpGroup: "EXPORT" } as const;

// Read by the exporter's schema, not by oclif: a variable for one exporter must not be an error with another.
const withVariable = (option: string, description: string) => ({
  description: `${description} [env: ${optionVariable("exporter", option)}]`,
  ...exportGroup,
});

/** The flags that say where a debug image goes and what it is made of. */
export const exportFlags = {
  "export-type": Flags.string({
    description: "The exporter; melange2 exporters lists them",
    default: defaults.exporter,
    env: "MELANGE2_EXPORT_TYPE",
    ...exportGroup,
  }),
  "export-path": Flags.string(
    withVariable(
      "path",
      "File of the tarball, - for standard output; {package} {version} {arch} {step} {build} are filled in",
    ),
  ),
  "export-ref": Flags.string(withVariable("ref", "Name of the image, NAME:TAG; the same placeholders")),
  "export-compression": Flags.string(
    withVariable("compression", "Compression of the layers: none, gzip (default) or zstd"),
  ),
  "export-insecure": Flags.boolean(
    withVariable("insecure", "Do not check the registry's certificate; plain http where it has none"),
  ),
  "export-ca": Flags.string(withVariable("ca", "PEM file of the authority that the registry's certificate is from")),
  "export-opt": Flags.string({
    description: "Any other option of the exporter, KEY=VALUE; may be repeated [env: MELANGE2_EXPORT_OPT, one a line]",
    // Its variable is read with the others: oclif hands it over as one string where a list is meant.
    ...repeatable,
    ...exportGroup,
  }),
  "export-preflight": Flags.option({
    description: "What the check of the destination, before the first step, finds: warnings, or with strict the end",
    options: ["warn", "strict"] as const,
    default: "warn",
    env: "MELANGE2_EXPORT_PREFLIGHT",
    ...exportGroup,
  })(),
  capture: Flags.string({
    description: helpTexts.capture,
    default: defaults.capture,
    env: "MELANGE2_CAPTURE",
    ...exportGroup,
  }),
  "export-allow-secrets": Flags.boolean({
    description: "Export although a secret's value was found in the state",
    env: "MELANGE2_EXPORT_ALLOW_SECRETS",
    ...exportGroup,
  }),
};

/** The options of exporters that have a flag of their own. */
const ownFlags = ["path", "ref", "compression", "insecure", "ca"] as const;

/** How a person gives an option: `--export-path`, `--export-opt command`. */
export function optionFlag(name: string): string {
  return (ownFlags as readonly string[]).includes(name) ? `--export-${name}` : `--export-opt ${name}`;
}

interface ExportFlagValues {
  "export-type": string;
  "export-path"?: string | undefined;
  "export-ref"?: string | undefined;
  "export-compression"?: string | undefined;
  "export-insecure"?: boolean | undefined;
  "export-ca"?: string | undefined;
  "export-opt"?: string[] | undefined;
  "export-preflight": "warn" | "strict";
  capture: string;
  "export-allow-secrets": boolean;
}

/** Throws code `usage` where the command line says how to export, and nothing will be. `given`: the names of its flags; `without`: what is missing. */
export function refuseIdleExportFlags(given: readonly string[], without = "--export-on-failure"): void {
  const idle = [...new Set(given)].filter((name) => name in exportFlags).map((name) => `--${name}`);
  if (idle.length === 0) return;
  throw new MelangeError("usage", `nothing is exported without ${without}: ${idle.join(", ")}`, {
    hint: `Add ${without}, or leave ${idle.length === 1 ? "it" : "them"} out.`,
  });
}

/**
 * Of MELANGE2_EXPORT_OPT counts, where there is no `--export-opt`, what no other flag
 * says. Throws code `usage`.
 */
export function exportRequest(flags: ExportFlagValues, env: NodeJS.ProcessEnv): ExportRequest {
  const named = ownFlags.flatMap((name): GivenOption[] => {
    const value = flags[`export-${name}`];
    return value === undefined ? [] : [{ name, value: String(value), source: `--export-${name}` }];
  });
  const others = otherOptions("exporter", named, flags["export-opt"], env);
  return {
    type: flags["export-type"],
    capture: flags.capture,
    options: [...named, ...others],
    allowSecrets: flags["export-allow-secrets"],
    strict: flags["export-preflight"] === "strict",
    optionName: optionFlag,
  };
}

/** The words that ask for the same export again. */
export function debugExportWords(
  build: string,
  { type, capture, options, allowSecrets }: ExportAgain,
): readonly string[] {
  return [
    "debug",
    "export",
    build,
    `--export-type=${type}`,
    ...(capture === defaults.capture ? [] : [`--capture=${capture}`]),
    ...options.flatMap(({ name, value }) => {
      const flag = optionFlag(name);
      // This flag takes no value, and switches on.
      if (name === "insecure" && value === true) return [flag];
      const own = name !== "insecure" && !flag.startsWith("--export-opt ");
      return own ? [`${flag}=${value}`] : ["--export-opt", `${name}=${value}`];
    }),
    ...(allowSecrets ? ["--export-allow-secrets"] : []),
  ];
}
