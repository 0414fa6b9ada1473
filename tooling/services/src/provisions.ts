import { busyboxRoot, cBuildRoot, corpusRecipes, sourceTarballs, testUsers } from "@melange2-tooling/fixtures";
import { startBuildkit } from "./buildkit.ts";
import { startRootlessBuildkit } from "./buildkit-rootless.ts";
import { conformanceSuite } from "./conformance.ts";
import { startDocker } from "./docker.ts";
import type { Provision } from "./provision.ts";
import { startRegistry, startRegistry3, startRegistryWithPassword, startRegistryWithTls } from "./registry.ts";

const docker20 = { name: "Docker 20.10", version: "20.10", arguments: ["--storage-driver=overlay2"] } as const;
const docker28 = { name: "Docker 28", version: "28", arguments: ["--storage-driver=overlay2"] } as const;
const docker28Containerd = {
  name: "Docker 28 with the containerd image store",
  version: "28",
  arguments: ["--feature=containerd-snapshotter=true"],
} as const;

const docker = (
  options: typeof docker20 | typeof docker28 | typeof docker28Containerd,
  variable: string,
): Provision => ({
  variables: [variable],
  start: (folder) => startDocker({ ...options, variable }, folder),
});

/** A provision that is one path or name, made once and kept. */
const kept = (variable: string, make: () => Promise<string>): Provision => ({
  variables: [variable],
  start: async () => ({ env: { [variable]: await make() } }),
});

/** Everything that tests can ask for, by name. */
export const provisions = {
  docker20: docker(docker20, "MELANGE2_TEST_DOCKER20"),
  docker28: docker(docker28, "MELANGE2_TEST_DOCKER28"),
  "docker28-containerd": docker(docker28Containerd, "MELANGE2_TEST_DOCKER28_CONTAINERD"),
  registry: { variables: ["MELANGE2_TEST_REGISTRY"], start: startRegistry },
  "registry-auth": {
    variables: [
      "MELANGE2_TEST_REGISTRY_AUTH",
      "MELANGE2_TEST_REGISTRY_AUTH_USER",
      "MELANGE2_TEST_REGISTRY_AUTH_PASSWORD",
    ],
    start: startRegistryWithPassword,
  },
  "registry-tls": {
    variables: ["MELANGE2_TEST_REGISTRY_TLS", "MELANGE2_TEST_REGISTRY_TLS_CA"],
    start: startRegistryWithTls,
  },
  registry3: { variables: ["MELANGE2_TEST_REGISTRY3"], full: true, start: startRegistry3 },
  buildkit: {
    variables: [
      "MELANGE2_TEST_BUILDKIT",
      "MELANGE2_TEST_BUILDCTL",
      "MELANGE2_TEST_BUILDKIT_TCP",
      "MELANGE2_TEST_BUILDKIT_TLS_CA",
      "MELANGE2_TEST_BUILDKIT_TLS_CERT",
      "MELANGE2_TEST_BUILDKIT_TLS_KEY",
    ],
    start: startBuildkit,
  },
  "buildkit-rootless": { variables: ["MELANGE2_TEST_BUILDKIT_ROOTLESS"], full: true, start: startRootlessBuildkit },
  conformance: { ...kept("MELANGE2_TEST_CONFORMANCE", conformanceSuite), full: true },
  busybox: {
    variables: ["MELANGE2_TEST_BUSYBOX_DIR", "MELANGE2_TEST_BUSYBOX_TAR"],
    start: async () => {
      const { directory, tar } = await busyboxRoot();
      return { env: { MELANGE2_TEST_BUSYBOX_DIR: directory, MELANGE2_TEST_BUSYBOX_TAR: tar } };
    },
  },
  "c-build": kept("MELANGE2_TEST_C_BUILD_TAR", cBuildRoot),
  sources: kept("MELANGE2_TEST_SOURCES", sourceTarballs),
  corpus: { ...kept("MELANGE2_TEST_CORPUS_RECIPES", corpusRecipes), optional: true },
  users: {
    variables: ["MELANGE2_TEST_USER_RANGE", "MELANGE2_TEST_USER_PLAIN"],
    start: async () => {
      const { withRange, withoutRange } = await testUsers();
      return { env: { MELANGE2_TEST_USER_RANGE: withRange, MELANGE2_TEST_USER_PLAIN: withoutRange } };
    },
  },
} satisfies Record<string, Provision>;

export type ProvisionName = keyof typeof provisions;
