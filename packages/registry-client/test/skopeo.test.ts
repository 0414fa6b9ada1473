import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type MemoryRegistryOptions, startMemoryRegistry } from "@melange2/testkit";
import { program } from "@melange2-tooling/services";
import { expect, onTestFinished, test } from "vitest";
import { pullImage, pushImage } from "../src/index.ts";
import { makeCertificates } from "./certificates.ts";
import { imageOf, noiseLayer, platform, repositoryName, scene, user } from "./scene.ts";

// A client of other people's, on the other end of the registry in memory: neither it nor our client may know only each other.
const run = promisify(execFile);

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "melange2-skopeo-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

test.for([
  ["open to everybody", {}],
  ["with basic authentication", { access: { scheme: "basic", ...user } }],
  ["with bearer authentication", { access: { scheme: "bearer", ...user } }],
] as const)(
  "skopeo takes what our client pushed, and our client what skopeo pushed: %s",
  async ([, options], context) => {
    await exchange(program(context, "skopeo"), options, ["--tls-verify=false"]);
  },
);

test("the same over TLS", async (context) => {
  const skopeo = program(context, "skopeo");
  program(context, "openssl");
  const directory = await scratch();
  const { ca, server } = await makeCertificates();
  await writeFile(join(directory, "ca.crt"), ca);
  await exchange(skopeo, { tls: server }, [`--cert-dir=${directory}`], ca);
});

test("skopeo is refused what is not its own", async (context) => {
  const skopeo = program(context, "skopeo");
  await using registry = await startMemoryRegistry({ access: { scheme: "bearer", ...user } });
  const inspecting = run(skopeo, ["inspect", "--tls-verify=false", `docker://${registry.host}/a/b:c`]);
  await expect(inspecting).rejects.toMatchObject({
    stderr: expect.stringMatching(/authentication required|unauthorized/i),
  });
});

async function exchange(
  skopeo: string,
  options: MemoryRegistryOptions,
  tls: readonly string[],
  ca?: string,
): Promise<void> {
  const directory = await scratch();
  await using stage = await scene({ ...options, session: ca === undefined ? {} : { tls: { ca } } });
  const { registry, repository, abort } = stage;
  const image = imageOf([noiseLayer(100_000, 1), noiseLayer(5_000_000, 2)]);
  const pushed = await pushImage(repository, image, { tag: "ours", signal: abort.signal });

  const creds = options.access === undefined ? [] : [`${user.username}:${user.password}`];
  const of = (side: "src" | "dest") => [
    ...tls.map((flag) => flag.replace("--", `--${side}-`)),
    ...creds.map((login) => `--${side}-creds=${login}`),
  ];
  const layout = `oci:${join(directory, "layout")}:image`;
  await run(skopeo, ["copy", ...of("src"), `docker://${registry.host}/${repositoryName}:ours`, layout]);
  await run(skopeo, ["copy", ...of("dest"), layout, `docker://${registry.host}/other/place:theirs`]);

  const pulled = await pullImage(
    { registry: registry.host, repository: "other/place", tag: "theirs" },
    { ...stage.session, platform, cacheDirectory: join(directory, "cache") },
  );
  expect(pulled.imageId).toBe(pushed.imageId);
  expect(pulled.manifest.digest).toBe(pushed.manifest.digest);
}
