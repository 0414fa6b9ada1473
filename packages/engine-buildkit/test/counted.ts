import { randomUUID } from "node:crypto";
import type { TestBuild } from "./open-build.ts";

/** Scripts that note each of their executions in a mount that no state holds. */
export function counted() {
  const nonce = randomUUID();
  const mounts = [{ kind: "cache", source: `/${nonce}`, target: "/count" }] as const;
  let looks = 0;
  /** Runs beside the scripts, with their mount. */
  const look = async (build: TestBuild, script: string) =>
    (await build.run(build.start, `${script} # ${looks++} ${randomUUID()}`, { mounts })).output;
  return {
    mounts,
    look,
    script: (name: string, rest: string) => `: ${nonce}; echo ${name} >> /count/log; ${rest}`,
    log: async (build: TestBuild) => (await look(build, "cat /count/log")).trim().split("\n"),
  };
}
