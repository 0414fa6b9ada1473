import type { Mount, Step, StringMap, Unit, User } from "@melange2/core";
import type { CompiledStep } from "./compile-steps.ts";
import { stepScript } from "./step-script.ts";

/** What all the steps of one pipeline have in common. */
export interface StepSetting {
  /** Begins every id: `main`, `sub.libev-dev`. */
  readonly idPrefix: string;
  readonly package: string;
  readonly env: StringMap;
  readonly secretEnv: readonly string[];
  readonly user: User;
  readonly capabilities: Step["capabilities"];
  readonly mounts: readonly Mount[];
  readonly timeout: number | undefined;
  readonly debug: boolean;
  /** Made by the first step. */
  readonly directories: readonly string[];
}

/** The steps that run something, flattened: a step's own script before its children. */
export function planSteps(compiled: readonly CompiledStep[], setting: StepSetting): readonly Step[] {
  const environments = new Map<CompiledStep["environment"], StringMap>();
  /** Steps without variables of their own share one object. */
  const environmentOf = ({ environment }: CompiledStep): StringMap => {
    const known = environments.get(environment);
    if (known) return known;
    const made = withoutSecrets({ ...setting.env, ...Object.fromEntries(environment) }, setting.secretEnv);
    environments.set(environment, made);
    return made;
  };
  return runnable(compiled).map((step, index) => ({
    id: `${setting.idPrefix}-${step.indices.join(".")}`,
    path: step.path,
    location: step.location,
    label: labelOf(step),
    package: setting.package,
    fragment: step.fragment,
    script: stepScript({
      fragment: step.fragment,
      workdir: step.workdir,
      directories: index === 0 ? setting.directories : [],
      debug: setting.debug,
    }),
    env: environmentOf(step),
    secretEnv: setting.secretEnv,
    workdir: step.workdir,
    user: setting.user,
    capabilities: setting.capabilities,
    mounts: setting.mounts,
    timeout: setting.timeout,
  }));
}

/** A secret comes before a variable of its name, whatever sets that: the value would be told in the clear. */
function withoutSecrets(env: StringMap, names: readonly string[]): StringMap {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
}

/** The units of a build: each step alone, on the state that the step before it left. */
export function unitsOf(steps: readonly Step[], environment: string): readonly Unit[] {
  return steps.map((step, index) => {
    const below = steps[index - 1];
    return { id: step.id, steps: [step], from: below ? { unit: below.id } : { environment }, purpose: "build" };
  });
}

function runnable(steps: readonly CompiledStep[]): readonly CompiledStep[] {
  return steps.flatMap((step) => {
    if (!step.active) return [];
    return step.fragment.trim() === "" ? runnable(step.children) : [step, ...runnable(step.children)];
  });
}

const longestLabel = 60;

function labelOf({ displayName, uses, within, fragment }: CompiledStep): string {
  const label = displayName.trim() || uses || within || fragment.trim();
  const line = label.split("\n")[0]?.trim() ?? "";
  return line.length > longestLabel ? `${line.slice(0, longestLabel - 1)}…` : line;
}
