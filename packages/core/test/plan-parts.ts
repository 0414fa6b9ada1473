import type { Environment, Plan, Step, Unit, UnitStart } from "../src/index.ts";

export function step(id: string, parts: Partial<Step> = {}): Step {
  return {
    id,
    path: `pipeline[${id}]`,
    location: { file: "hello.yaml", line: 12, column: 5 },
    label: `the step ${id}`,
    package: "hello",
    fragment: "make",
    script: "set -e\ncd '/home/build'\nmake\nexit 0\n",
    env: { HOME: "/home/build", PATH: "/usr/bin:/bin" },
    secretEnv: [],
    workdir: "/home/build",
    user: { uid: 0, gid: 0 },
    capabilities: { add: [], drop: [] },
    mounts: [],
    timeout: undefined,
    ...parts,
  };
}

/** A unit with a step for each id, named after the first. */
export function unit(ids: string | readonly string[], from: UnitStart = { environment: "build" }): Unit {
  const steps = (typeof ids === "string" ? [ids] : ids).map((id) => step(id));
  return { id: `unit-${steps[0]?.id}`, steps, from, purpose: "build" };
}

/** The same units, each on the one before it. */
export function chained(units: readonly Unit[]): readonly Unit[] {
  return units.map((one, index) => ({ ...one, from: index === 0 ? one.from : { unit: units[index - 1]?.id ?? "" } }));
}

export function plan(units: readonly Unit[]): Plan {
  return {
    source: { kind: "melange", file: "hello.yaml", text: "package:\n  name: hello\n", copyName: "recipe.yaml" },
    subject: { name: "hello", version: "1.0-r0", arch: "x86_64" },
    workspace: "/home/build",
    environments: ["build"],
    units,
    outputs: [{ name: "hello", directory: "/home/build/melange-out/hello" }],
  };
}

export const environment: Environment = {
  platform: { os: "linux", architecture: "amd64" },
  config: { Labels: { "org.example.base": "wolfi" }, Env: ["OF_THE_BASE=1"] },
  layers: [],
};

/** A clock that advances by one second at each look. */
export function clock(): () => Date {
  let time = Date.parse("2026-11-24T00:00:00Z");
  return () => {
    time += 1000;
    return new Date(time);
  };
}
