import type { StringMap } from "./bytes.ts";
import { type Location, MelangeError } from "./error.ts";

/** Numeric user and group that a step runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/**
 * What a step sees and no snapshot holds. The failure record and printed commands name it. `target`: where the step sees it, absolute.
 * Engines refuse the kinds that they cannot give.
 */
export type Mount =
  | CacheMount
  | {
      readonly kind: "bind";
      /** The state that is seen: what an environment or a unit of the plan left. */
      readonly from: UnitStart;
      /** A path in that state, absolute. */
      readonly source: string;
      readonly target: string;
      readonly writable: boolean;
    }
  | { readonly kind: "secret"; readonly secret: SecretUse; readonly target: string; readonly mode: number }
  | { readonly kind: "ssh"; readonly id: string; readonly target: string }
  | { readonly kind: "tmpfs"; readonly target: string; readonly bytes?: number };

/** A folder that outlives the build. */
export interface CacheMount {
  readonly kind: "cache";
  /** A directory of the host, absolute; or the name of a cache that the engine keeps from build to build: letters, digits, `.`, `_`, `-`. */
  readonly source: string;
  readonly target: string;
}

/** A secret by the name under which its step knows it, and the id under which the user gave it. */
export interface SecretUse {
  readonly name: string;
  readonly id: string;
}

/** One script run in the environment. Everything in it is final: no substitution is left. */
export interface Step {
  /** Unique in the plan, stable as long as the recipe's structure is: `main-2`, `sub.libev-dev-0`. Letters, digits, `.`, `_`, `+`, `-`. */
  readonly id: string;
  /** Where it stands in the recipe: `pipeline[2].pipeline[1]`, `subpackages[0].pipeline[0]`; children of a `uses` continue its path. */
  readonly path: string;
  /** The line that made it; for a child of a `uses`, the `uses` line of the recipe. */
  readonly location: Location;
  /** What a person calls it: the step's name, else its `uses`, else its script's first line. */
  readonly label: string;
  /** The package or subpackage it works for. */
  readonly package: string;
  /** The fragment as the recipe says it, substituted. */
  readonly fragment: string;
  /**
   * The whole script, given to `/bin/sh -c` as one argument: shell options, the change into the workdir, the fragment, `exit 0`.
   * Exactly these bytes are in the debug image.
   */
  readonly script: string;
  /** The whole argv of a step that is no script, `script` being how people read it. Absent: `/bin/sh -c SCRIPT`. */
  readonly command?: readonly string[];
  /** The complete environment of the process; nothing of the host is added. Holds no secret, and no name of `secretEnv`. */
  readonly env: StringMap;
  /** Names of secrets that enter the process's environment when it starts. Their values are nowhere in a plan. */
  readonly secretEnv: readonly string[];
  /** Absolute. The script creates it and changes into it. */
  readonly workdir: string;
  readonly user: User;
  /** Linux capabilities beyond, or out of, the engine's default set: `CAP_SYS_PTRACE`. */
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  readonly mounts: readonly Mount[];
  /** Seconds, or undefined for no limit. */
  readonly timeout: number | undefined;
}

/** What a unit starts from: a composed environment, by its name in the plan, or the state that an earlier unit left, by that unit's id. */
export type UnitStart = { readonly environment: string } | { readonly unit: string };

/** Steps that share one process tree: a build step alone; all the steps of one test pipeline. Never empty. */
export interface Unit {
  readonly id: string;
  readonly steps: readonly Step[];
  readonly from: UnitStart;
  /** `build`: the unit makes what the plan is for; `test`: the unit tries what was made. */
  readonly purpose: "build" | "test";
}

/** What a plan was made of. */
export interface Source {
  /** The kind of file, which says who can read it: `melange`. */
  readonly kind: string;
  /** As the user named it: a path. */
  readonly file: string;
  readonly text: string;
  /** What a copy of the text is called in a debug image's `/.melange2`: `recipe.yaml`. */
  readonly copyName: string;
}

/** What a plan builds, as people call it. */
export interface Subject {
  readonly name: string;
  /** The whole version: `4.33-r0`. */
  readonly version: string;
  /** apk name: `x86_64`, `aarch64`. */
  readonly arch: string;
}

/** A folder that a successful build leaves to its user. */
export interface Output {
  /** The package or subpackage. */
  readonly name: string;
  /** Absolute in the state that the last build unit leaves: `/home/build/melange-out/NAME`. */
  readonly directory: string;
}

/** What is to be done, as a flat list of units. Plain data, with nothing left to substitute. */
export interface Plan {
  readonly source: Source;
  readonly subject: Subject;
  /** Absolute; `/home/build`. */
  readonly workspace: string;
  /** Names of the environments that units start from; whoever runs the plan composes one for each. */
  readonly environments: readonly string[];
  /** In the order in which they run. A unit starts from an environment or from a unit before it. */
  readonly units: readonly Unit[];
  readonly outputs: readonly Output[];
}

/** The units that a unit stands on, the first to run first, and the environment below them. Throws TypeError for a start that the plan lacks. */
export function ancestryOf(
  plan: Pick<Plan, "units">,
  unit: Unit,
): { readonly environment: string; readonly units: readonly Unit[] } {
  const units: Unit[] = [];
  for (let at = unit; ; ) {
    const { from } = at;
    if ("environment" in from) return { environment: from.environment, units };
    const earlier = plan.units.find(({ id }) => id === from.unit);
    if (earlier === undefined) throw new TypeError(`unit ${at.id} starts from ${from.unit}, which the plan lacks`);
    units.unshift(earlier);
    at = earlier;
  }
}

/** The argv of a step's process. */
export function commandOf(step: Pick<Step, "script" | "command">): readonly string[] {
  return step.command ?? ["/bin/sh", "-c", step.script];
}

/** The mounts of a step that are caches. Throws `engine` where there are others: no engine of this version gives them. */
export function cacheMountsOf(step: Pick<Step, "id" | "mounts">): readonly CacheMount[] {
  return step.mounts.map((mount) => {
    if (mount.kind === "cache") return mount;
    throw new MelangeError(
      "engine",
      `step ${step.id} wants a ${mount.kind} mount at ${mount.target}, which this engine lacks`,
      {
        hint: "Choose an engine that has such mounts.",
      },
    );
  });
}
