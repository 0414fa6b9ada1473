import { engineError } from "./foreign-errors.ts";
import type { WorkSpace } from "./work-space.ts";

/** The values for a launch, by name. They go over a pipe and nowhere else. Raises `engine` where one is missing. */
export function secretValues(space: WorkSpace, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.map((name) => {
      const value = space.options.secrets.get(name);
      if (value === undefined)
        throw engineError(
          `the secret ${name} has no value`,
          `Set it in the environment, as with --secret-env ${name}.`,
        );
      return [name, value];
    }),
  );
}
