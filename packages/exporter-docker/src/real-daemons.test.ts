import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DebugImage, Digest } from "@melange2/core";
import { layerFromEntries, tarHeader } from "@melange2/oci";
import { exporterSuite, randomDebugImage, testExportContext } from "@melange2/testkit";
import { describe, expect, test } from "vitest";
import { docker } from "./docker.ts";

const daemons = [
  ["Docker 20.10", process.env.MELANGE2_TEST_DOCKER20],
  ["Docker 28, classic store", process.env.MELANGE2_TEST_DOCKER28],
  ["Docker 28, containerd store", process.env.MELANGE2_TEST_DOCKER28_CONTAINERD],
] as const;
const busyboxRoot = process.env.MELANGE2_TEST_BUSYBOX_DIR;

for (const [what, socket] of daemons) {
  describe(what, () => {
    if (!socket) {
      test.skip("needs the socket of such a daemon in the environment: see tooling/services");
      return;
    }
    const address = `unix://${socket}`;
    const client = (...args: readonly string[]) => spawnSync("docker", ["-H", address, ...args], { encoding: "utf8" });

    describe("the suite for exporters", () => {
      let count = 0;
      exporterSuite({
        test,
        exporter: docker,
        async subject() {
          count += 1;
          const ref = `melange2-test:suite-${process.pid}-${count}`;
          return {
            options: { ref },
            context: { env: { DOCKER_HOST: address } },
            async arrived() {
              const { status, stdout } = client("image", "inspect", ref);
              if (status !== 0) return undefined;
              const [image] = JSON.parse(stdout) as [{ Config: object; RootFS: { Layers: Digest[] } }];
              return { diffIds: image.RootFS.Layers, config: image.Config };
            },
            [Symbol.asyncDispose]: async () => void client("rmi", "-f", ref),
          };
        },
        refused: {},
      });
    });

    test("runs what was loaded, in the failed step's directory with its environment", async (context) => {
      if (busyboxRoot === undefined) return context.skip("MELANGE2_TEST_BUSYBOX_DIR is not set");
      const ref = `melange2-test:run-${process.pid}`;
      const receipt = await exported(address, ref, busyboxImage(busyboxRoot));
      try {
        const [run] = receipt.open;
        expect(run?.slice(0, 3)).toEqual(["docker", "-H", address]);
        const argv = [
          ...(run?.slice(1, -1) ?? []).filter((word) => word !== "-it"),
          "/bin/sh",
          "-c",
          "pwd; echo $STEP",
        ];
        argv.splice(argv.indexOf("--rm"), 0, "--network=none");
        expect(execFileSync("docker", argv, { encoding: "utf8" })).toBe("/home/build\nmain-1\n");
        const { stdout } = client("image", "inspect", "--format", "{{.Id}}", ref);
        expect(stdout.trim()).toBe(receipt.imageId);
      } finally {
        client("rmi", "-f", ref);
      }
    });

    test("sends nothing of an image that is there, by whatever name", async () => {
      const image = randomDebugImage();
      const [one, two] = [`melange2-test:one-${process.pid}`, `melange2-test:two-${process.pid}`];
      try {
        const first = await exported(address, one, image);
        const second = await exported(address, two, image);
        expect(first.bytes).toBeGreaterThan(0);
        expect(second).toMatchObject({ bytes: 0, imageId: first.imageId });
        const newer = await exported(address, one, randomDebugImage());
        expect(newer.note).toContain(first.imageId);
        expect(client("image", "inspect", first.imageId).status).toBe(0);
      } finally {
        client("rmi", "-f", one, two);
      }
    });
  });
}

async function exported(address: string, ref: string, image: DebugImage) {
  const prepared = await docker.prepare({ ref }, testExportContext({ env: { DOCKER_HOST: address } }));
  const signal = new AbortController().signal;
  return prepared.export(image, { signal, failure: { build: "b", step: "s" }, onProgress: () => {} });
}

function busyboxImage(root: string): DebugImage {
  const body = readFileSync(join(root, "bin/busybox"));
  const file = { header: tarHeader({ name: "bin/busybox", type: "file", mode: 0o755, size: body.length }), body };
  const shell = { header: tarHeader({ name: "bin/sh", type: "symlink", linkname: "busybox" }) };
  const folder = { header: tarHeader({ name: "bin", type: "directory" }) };
  return randomDebugImage({ base: [layerFromEntries([folder, file, shell])] });
}
