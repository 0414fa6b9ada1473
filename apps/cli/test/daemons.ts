import { provided } from "@melange2-tooling/services";

/** The BuildKit daemons that tests may use. */
export const daemons = [
  { name: "buildkitd", variable: "MELANGE2_TEST_BUILDKIT", scheme: "" },
  { name: "Docker 20.10", variable: "MELANGE2_TEST_DOCKER20", scheme: "docker://" },
  { name: "Docker 28", variable: "MELANGE2_TEST_DOCKER28", scheme: "docker://" },
] as const;

/** What makes melange2 build on the daemon; skips the test where it is not there. Docker daemons under test have no network for steps. */
export function onBuildkit(
  test: Parameters<typeof provided>[0],
  { variable, scheme }: (typeof daemons)[number],
): NodeJS.ProcessEnv {
  return { MELANGE2_ENGINE: "buildkit", BUILDKIT_HOST: scheme + provided(test, variable) };
}
