/** Why a test has to do without a service or a program. */
export interface Missing {
  reason: string;
  /** Not asked for in this kind of run, which is no fault of the machine. */
  intended: boolean;
}

const variable = "MELANGE2_TEST_MISSING";

/** What the set-up of this run could not provide, by the variable or program that tests name. Test processes inherit it. */
export const readMissing = (): Record<string, Missing> => JSON.parse(process.env[variable] || "{}");

export const writeMissing = (missing: Record<string, Missing>): void => {
  process.env[variable] = JSON.stringify(missing);
};

/** Where every service has to be there: continuous integration must not pass by skipping. */
export const mustHaveAll = (): boolean => process.env.CI === "true";

/** Why a test is skipped that `npm run test:full` runs. */
export const onlyInFullRuns = "only in full runs: npm run test:full";
