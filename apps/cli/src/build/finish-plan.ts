import type { Mount, Plan, Step, User } from "@melange2/core";

export interface RunSettings {
  /** By the names of `plan.environments`. */
  readonly users: Readonly<Record<string, User>>;
  readonly mounts: readonly Mount[];
  readonly secretEnv: readonly string[];
  /** Seconds. */
  readonly timeout: number | undefined;
}

/** The plan with what the recipe does not say: who steps run as on this base, what is mounted, which secrets they get. */
export function finishPlan(plan: Plan, settings: RunSettings): Plan {
  const finish = (step: Step, user: User): Step => ({
    ...step,
    user,
    mounts: [...step.mounts, ...settings.mounts],
    secretEnv: [...step.secretEnv, ...settings.secretEnv],
    timeout: settings.timeout ?? step.timeout,
  });
  return {
    ...plan,
    units: plan.units.map((unit) => {
      const user = settings.users[unit.environment];
      if (!user) throw new TypeError(`no user for the environment "${unit.environment}"`);
      return { ...unit, steps: unit.steps.map((step) => finish(step, user)) };
    }),
  };
}
