import {
  accountId,
  type Decoded,
  type Decoder,
  duration,
  flag,
  list,
  mapOf,
  optional,
  type Placed,
  record,
  signed,
  template,
  text,
  unsigned,
} from "./decode.ts";
import type { Text } from "./source.ts";

// The keys of a recipe. `template` marks the texts into which variables are pasted when the recipe is read (see expand.ts).

/** An entry of any `pipeline`, and the content of a file that `uses` loads. */
export interface StepSource extends Placed {
  readonly name: Text;
  readonly if: Text;
  readonly uses: Text;
  readonly with: ReadonlyMap<string, Text>;
  readonly runs: Text;
  readonly pipeline: readonly StepSource[];
  readonly inputs: ReadonlyMap<string, InputSource>;
  readonly needs: Placed & { readonly packages: readonly Text[] };
  readonly label: Text;
  readonly assertions: (Placed & { readonly "required-steps": number }) | undefined;
  readonly "working-directory": Text;
  readonly environment: ReadonlyMap<string, Text>;
}

export type InputSource = Decoded<typeof input>;

const input = record("an input", () => ({ description: text, default: text, required: flag }));

export const step: Decoder<StepSource> = record("a step", () => ({
  name: template,
  if: template,
  uses: text,
  with: mapOf(template),
  runs: template,
  pipeline: list(step),
  inputs: mapOf(input),
  needs: record("needs", () => ({ packages: list(template) })),
  label: text,
  assertions: optional(record("assertions", () => ({ "required-steps": signed }))),
  "working-directory": template,
  environment: mapOf(template),
}));

const environment = record("an environment", () => ({
  contents: record("contents", () => ({
    build_repositories: list(template),
    runtime_repositories: list(template),
    repositories: list(template),
    keyring: list(template),
    runtime_keyring: list(record("a runtime key", () => ({ name: text, content: text }))),
    packages: list(template),
    baseimage: optional(record("baseimage", () => ({ image: text, apkindex: text }))),
  })),
  entrypoint: record("entrypoint", () => ({
    type: text,
    command: template,
    "shell-fragment": template,
    services: mapOf(template),
  })),
  cmd: template,
  "stop-signal": template,
  "work-dir": template,
  accounts: record("accounts", () => ({
    "run-as": text,
    users: list(
      record("a user", () => ({
        username: text,
        uid: accountId,
        gid: optional(accountId),
        shell: text,
        homedir: text,
      })),
    ),
    groups: list(record("a group", () => ({ groupname: text, gid: accountId, members: list(text) }))),
  })),
  archs: list(text),
  environment: mapOf(template),
  paths: list(
    record("a path", () => ({
      path: text,
      type: text,
      uid: optional(accountId),
      gid: optional(accountId),
      permissions: accountId,
      source: text,
      recursive: flag,
    })),
  ),
  "vcs-url": template,
  annotations: mapOf(template),
  include: text,
  volumes: list(template),
  layering: optional(record("layering", () => ({ strategy: text, budget: signed }))),
  format: text,
  certificates: optional(
    record("certificates", () => ({
      additional: list(record("a certificate", () => ({ name: text, content: text }))),
      providers: list(text),
    })),
  ),
}));

export type EnvironmentSource = Decoded<typeof environment>;

const dependencies = record("dependencies", () => ({
  runtime: list(template),
  provides: list(template),
  replaces: list(template),
  "provider-priority": template,
  "replaces-priority": template,
}));

export type DependenciesSource = Decoded<typeof dependencies>;

const packageOptions = record("options", () => ({
  "no-provides": flag,
  "no-depends": flag,
  "no-commands": flag,
  "no-versioned-shlib-deps": flag,
}));

const scriptlets = record("scriptlets", () => ({
  trigger: record("a trigger", () => ({ script: template, paths: list(template) })),
  "pre-install": template,
  "post-install": template,
  "pre-deinstall": template,
  "post-deinstall": template,
  "pre-upgrade": template,
  "post-upgrade": template,
}));

const checks = record("checks", () => ({ disabled: list(text) }));

const setcap = list(record("setcap", () => ({ path: text, add: mapOf(text), reason: text })));

const resources = record("resources", () => ({ cpu: text, cpumodel: text, memory: text, disk: text }));

const packageSource = record("package", () => ({
  name: template,
  version: template,
  epoch: unsigned,
  description: template,
  url: template,
  commit: text,
  annotations: mapOf(template),
  timeout: duration,
  "target-architecture": list(template),
  copyright: list(
    record("copyright", () => ({
      paths: list(template),
      attestation: text,
      license: template,
      "license-path": template,
      "detection-override": text,
    })),
  ),
  dependencies,
  options: packageOptions,
  scriptlets,
  checks,
  cpe: record("cpe", () => ({
    part: text,
    vendor: text,
    product: text,
    edition: text,
    language: text,
    sw_edition: text,
    target_sw: text,
    target_hw: text,
    other: text,
  })),
  setcap,
  resources,
  "test-resources": resources,
}));

export type PackageSource = Decoded<typeof packageSource>;

const test = record("test", () => ({ environment, pipeline: list(step) }));

export type TestSource = Decoded<typeof test>;

const subpackage = record("a subpackage", () => ({
  if: template,
  range: text,
  name: template,
  pipeline: list(step),
  dependencies,
  options: packageOptions,
  scriptlets,
  description: template,
  url: template,
  commit: text,
  annotations: mapOf(template),
  checks,
  test: optional(test),
  setcap,
}));

export type SubpackageSource = Decoded<typeof subpackage>;

const stripping = { "strip-prefix": text, "strip-suffix": text } as const;

const update = record("update", () => ({
  enabled: flag,
  manual: flag,
  "require-sequential": flag,
  shared: flag,
  "enable-prerelease-tags": flag,
  "version-separator": text,
  "exclude-reason": text,
  "ignore-regex-patterns": list(text),
  "version-transform": list(record("a version transform", () => ({ match: text, replace: text }))),
  schedule: optional(record("schedule", () => ({ reason: text, period: text }))),
  "release-monitor": optional(
    record("release-monitor", () => ({
      identifier: signed,
      ...stripping,
      "version-filter-contains": template,
      "version-filter-prefix": template,
    })),
  ),
  github: optional(
    record("github", () => ({
      identifier: template,
      ...stripping,
      "tag-filter": template,
      "tag-filter-prefix": template,
      "tag-filter-contains": template,
      "use-tag": flag,
    })),
  ),
  git: optional(
    record("git", () => ({ ...stripping, "tag-filter-prefix": template, "tag-filter-contains": template })),
  ),
  oci: optional(
    record("oci", () => ({
      identifier: text,
      ...stripping,
      "tag-filter-prefix": text,
      "tag-filter-contains": text,
    })),
  ),
  version_data: optional(
    record("version_data", () => ({
      version_format: text,
      sources: list(
        record("a version source", () => ({
          name: text,
          stream: text,
          ignore: list(text),
          commit_source: text,
          use_release: flag,
        })),
      ),
    })),
  ),
}));

const transform = record("a variable transform", () => ({ from: text, match: text, replace: text, to: text }));

export type TransformSource = Decoded<typeof transform>;

const buildOption = record("a build option", () => ({
  vars: mapOf(text),
  environment: record("a build option's environment", () => ({
    contents: record("contents", () => ({
      packages: record("packages", () => ({ add: list(text), remove: list(text) })),
    })),
  })),
}));

const data = record("range data", () => ({ name: text, items: mapOf(text) }));

export type RangeData = Decoded<typeof data>;

export const recipe = record("a recipe", () => ({
  package: packageSource,
  environment,
  capabilities: record("capabilities", () => ({ add: list(text), drop: list(text) })),
  pipeline: list(step),
  subpackages: list(subpackage),
  data: list(data),
  update,
  vars: mapOf(text),
  "var-transforms": list(transform),
  options: mapOf(buildOption),
  test: optional(test),
}));

/** A recipe as read, every text with its place. */
export type RecipeSource = Decoded<typeof recipe>;
