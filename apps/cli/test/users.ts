import { provided, type Skippable } from "@melange2-tooling/services";

const variables = {
  "an ordinary user with a range of ids": "MELANGE2_TEST_USER_RANGE",
  "an ordinary user with one id": "MELANGE2_TEST_USER_PLAIN",
} as const;

/** Whom sandboxes are tested as: root and two ordinary users where root runs the tests, else whoever does. */
export const identities =
  process.getuid?.() === 0 ? (["root", ...Object.keys(variables)] as readonly string[]) : ["whoever runs the tests"];

/** The user's name for `place`; undefined: nobody else. */
export function userOf(test: Skippable, identity: string): string | undefined {
  const variable = variables[identity as keyof typeof variables];
  return variable === undefined ? undefined : provided(test, variable);
}
