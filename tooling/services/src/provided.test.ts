import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { writeMissing } from "./missing.ts";
import { program, provided, type Skippable } from "./provided.ts";

const skipping: Skippable = {
  skip: (note) => {
    throw `skipped: ${note}`;
  },
};

function outcome(work: () => string): unknown {
  try {
    return work();
  } catch (thrown) {
    return thrown;
  }
}

beforeEach(() => {
  vi.stubEnv("MELANGE2_TEST_MISSING", "");
  vi.stubEnv("MELANGE2_TEST_SAMPLE", "");
  vi.stubEnv("CI", "");
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const ask = (): unknown => outcome(() => provided(skipping, "MELANGE2_TEST_SAMPLE"));

test("what is there is given", () => {
  vi.stubEnv("MELANGE2_TEST_SAMPLE", "value");
  expect(ask()).toBe("value");
  expect(outcome(() => program(skipping, "sh"))).toMatch(/\/sh$/);
});

test("what is missing skips the test with the reason", () => {
  writeMissing({ MELANGE2_TEST_SAMPLE: { reason: "no luck", intended: false } });
  expect(ask()).toBe("skipped: MELANGE2_TEST_SAMPLE: no luck");
  expect(outcome(() => program(skipping, "melange2-none"))).toBe("skipped: melange2-none: not on PATH");
});

test("in continuous integration it fails, unless it was never meant to be there", () => {
  vi.stubEnv("CI", "true");
  writeMissing({ MELANGE2_TEST_SAMPLE: { reason: "no luck", intended: false } });
  expect(ask()).toEqual(new Error("MELANGE2_TEST_SAMPLE: no luck"));
  writeMissing({ MELANGE2_TEST_SAMPLE: { reason: "full runs only", intended: true } });
  expect(ask()).toBe("skipped: MELANGE2_TEST_SAMPLE: full runs only");
});
