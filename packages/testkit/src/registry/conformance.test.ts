import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { provided } from "@melange2-tooling/services";
import { afterEach, expect, test } from "vitest";
import type { AccessOptions } from "./access.ts";
import { startMemoryRegistry } from "./memory-registry.ts";

/** What the registry in memory leaves out, in the suite's words. Everything else has to pass. */
const leftOut = [
  "Blobs sha512",
  "Digest Algorithm sha512",
  "Manifest put with tag params",
  "Referrers",
  "Sparse Manifests",
  "Tag Param",
  "Tag Param sha512",
];
const withoutThose = { OCI_DATA_SHA512: "false", OCI_API_REFERRER: "false" };
const user = { username: "conformance", password: "conformance" };

const scratch: string[] = [];
afterEach(async () => {
  for (const directory of scratch.splice(0)) await rm(directory, { recursive: true });
});

const accesses: readonly (AccessOptions | undefined)[] = [
  undefined,
  { scheme: "basic", ...user },
  { scheme: "bearer", ...user },
];

for (const access of accesses) {
  test(`passes the conformance suite with ${access?.scheme ?? "no"} authentication`, async (context) => {
    const suite = provided(context, "MELANGE2_TEST_CONFORMANCE");
    await using registry = await startMemoryRegistry(access && { access });
    const directory = await mkdtemp(join(tmpdir(), "melange2-conformance-"));
    scratch.push(directory);
    const { status, output } = await run(suite, directory, {
      ...withoutThose,
      OCI_REGISTRY: registry.host,
      OCI_TLS: "disabled",
      OCI_REPO1: "first/repository",
      OCI_REPO2: "second/repository",
      OCI_API_BLOBS_UPLOAD_CANCEL: "true",
      ...(access && { OCI_USERNAME: access.username, OCI_PASSWORD: access.password }),
    });
    const categories = [...output.matchAll(/^ {2}(\S.*?)\.*: +([A-Z][A-Za-z]+)$/gm)].map(([, name, outcome]) => [
      name,
      outcome,
    ]);
    const named = (wanted: string) => categories.flatMap(([name, outcome]) => (outcome === wanted ? [name] : []));
    expect(named("Disabled").sort()).toEqual(leftOut);
    expect(named("Pass").length).toBe(categories.length - leftOut.length);
    expect(named("Pass")).toEqual(expect.arrayContaining(["Blob push", "Blob get", "Blob get range", "Blob mount"]));
    expect(status).toBe(0);
    const report = await readFile(join(directory, "results", "junit.xml"), "utf8");
    expect(Number(/tests="(\d+)"/.exec(report)?.[1])).toBeGreaterThan(700);
  });
}

function run(program: string, cwd: string, env: Record<string, string>): Promise<{ status: unknown; output: string }> {
  return new Promise((resolve) => {
    execFile(program, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout) => {
      resolve({ status: error === null ? 0 : error.code, output: stdout });
    });
  });
}
