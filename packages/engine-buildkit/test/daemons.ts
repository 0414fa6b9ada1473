import { readFileSync } from "node:fs";
import type { EngineContext, Environment, ImageSpec } from "@melange2/core";
import { bytesOf, layerFromBytes } from "@melange2/oci";
import type { BuildkitOptions } from "../src/index.ts";

export const never = new AbortController().signal;

const busyboxPlatform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };

/** A base of one static program. Read where a test runs, since the set-up makes it. */
export function busyboxEnvironment(tar: string): Environment {
  return {
    platform: busyboxPlatform,
    config: {},
    layers: [layerFromBytes(readFileSync(tar))],
  };
}

export function context(address: string, stateDirectory: string): EngineContext<BuildkitOptions> {
  return { stateDirectory, env: {}, options: { "buildkit-addr": address } };
}

const docker = (socket: string | undefined) => (socket === undefined ? undefined : `docker://${socket}`);

/** Docker 20.10 leaves out fifos where it copies a folder. */
const lacks = { fifos: "Docker 20.10 copies none" };

const containerdStore = "dockerd 28, containerd store";

export const daemons = [
  { name: "buildkitd", address: process.env.MELANGE2_TEST_BUILDKIT, lacks: {} },
  { name: "dockerd 20.10", address: docker(process.env.MELANGE2_TEST_DOCKER20), lacks },
  { name: "dockerd 28", address: docker(process.env.MELANGE2_TEST_DOCKER28), lacks: {} },
  {
    name: containerdStore,
    address: docker(process.env.MELANGE2_TEST_DOCKER28_CONTAINERD),
    lacks: {},
  },
] as const;

/** Those whose cached results go only when they are pruned. With the containerd image store, what one client prunes costs others theirs. */
export const steadyDaemons = daemons.filter(({ name }) => name !== containerdStore);

/** The others. */
export const forgetfulDaemons = daemons.filter(({ name }) => name === containerdStore);

/** What a default run tests on one of them. */
export const everyRun = daemons.filter(({ name }) => name === "buildkitd" || process.env.MELANGE2_TEST_FULL === "1");

export function imageSpec(): ImageSpec {
  const owner = { uid: 0, gid: 0 };
  return {
    platform: busyboxPlatform,
    config: { Env: ["PATH=/bin"], Cmd: ["/bin/sh"] },
    labels: { step: "main-1" },
    annotations: { step: "main-1" },
    created: "2026-11-01T12:00:00.250Z",
    history: [],
    files: [
      { path: ".melange2", kind: "directory", mode: 0o755, owner, size: 0, open: () => bytesOf() },
      { path: ".melange2/note", kind: "file", mode: 0o644, owner, size: 4, open: () => bytesOf(Buffer.from("note")) },
    ],
  };
}
