import { MelangeError, type Plan, type SecretSource } from "@melange2/core";

/** What Linux takes, in bytes: for one variable with its name and an end, and for all, with room for the words of the engines' own programs. */
const longestVariable = 128 * 1024;
const longestEnvironment = 1800 * 1024;

/** A step with larger variables would not start. Throws code `recipe`, at the step. */
export function refuseTooLarge(plan: Plan, secrets: SecretSource): void {
  for (const { env, secretEnv, location } of plan.units.flatMap(({ steps }) => steps)) {
    const variables = [...Object.entries(env), ...secretEnv.map((name) => [name, secrets.get(name) ?? ""] as const)];
    const sizes = variables.map(
      ([name, value]) => [name, Buffer.byteLength(name) + Buffer.byteLength(value) + 2] as const,
    );
    const largest = sizes.reduce((a, b) => (b[1] > a[1] ? b : a), ["", 0]);
    const sum = sizes.reduce((total, [, size]) => total + size, 0);
    const why =
      largest[1] > longestVariable
        ? `the variable ${largest[0]} is longer than ${longestVariable / 1024} KiB`
        : sum > longestEnvironment
          ? `the variables of this step are longer than ${longestEnvironment / 1024} KiB together`
          : undefined;
    if (why === undefined) continue;
    throw new MelangeError("recipe", `${why}, and Linux starts no program with it`, {
      hint: "Let the step read it from a file of the source directory.",
      ...(location === undefined ? {} : { location }),
    });
  }
}
