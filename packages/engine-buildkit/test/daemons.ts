import { readFileSync } from "node:fs";
import type { EngineContext, Environment } from "@melange2/core";
import { layerFromBytes } from "@melange2/oci";

export const never = new AbortController().signal;

/** A base of one static program. Read where a test runs, since the set-up makes it. */
export function busyboxEnvironment(tar: string): Environment {
  return {
    platform: { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" },
    config: {},
    layers: [layerFromBytes(readFileSync(tar))],
  };
}

export function context(address: string, stateDirectory: string): EngineContext {
  return { stateDirectory, env: {}, options: { "buildkit-addr": address } };
}

const docker = (socket: string | undefined) => (socket === undefined ? undefined : `docker://${socket}`);

/** Docker 20.10 leaves out fifos where it copies a folder. */
const lacks = { fifos: "Docker 20.10 copies none" };

export const daemons = [
  { name: "buildkitd", address: process.env.MELANGE2_TEST_BUILDKIT, lacks: {} },
  { name: "dockerd 20.10", address: docker(process.env.MELANGE2_TEST_DOCKER20), lacks },
  { name: "dockerd 28", address: docker(process.env.MELANGE2_TEST_DOCKER28), lacks: {} },
] as const;
