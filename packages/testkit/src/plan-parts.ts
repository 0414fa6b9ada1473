import type { Step, Unit } from "@melange2/core";

/** A step for tests: `/bin/sh -c script` as root in `/home/build` with a minimal environment. */
export function testStep(id: string, script: string, changes: Partial<Step> = {}): Step {
  return {
    id,
    path: `pipeline[${id}]`,
    location: { file: "test.yaml", line: 1, column: 1 },
    label: id,
    package: "test",
    fragment: script,
    script,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
    secretEnv: [],
    workdir: "/home/build",
    user: { uid: 0, gid: 0 },
    capabilities: { add: [], drop: [] },
    mounts: [],
    timeout: undefined,
    ...changes,
  };
}

/** A unit of steps; its ID is its first step's. */
export function testUnit(...steps: readonly [Step, ...Step[]]): Unit {
  return { id: steps[0].id, steps, from: { environment: "build" }, purpose: "build" };
}
