import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { descriptorOf, layerFromBytes, randomImage } from "@melange2/oci";
import { openRepository, pushImage } from "@melange2/registry-client";
import { type MemoryRegistry, startMemoryRegistry } from "@melange2/testkit";
import { fullRun, program, provided, root } from "@melange2-tooling/services";
import { describe, expect, it, onTestFinished, type TestContext } from "vitest";
import { type Place, place } from "./melange2.ts";

const call = promisify(execFile);
const captures = ["current-state", "last-good", "two-phase"] as const;
type CaptureName = (typeof captures)[number];

/** Fails in a folder and an environment of its own, half of its work done. */
const recipe = `package:
  name: hello
  version: 1.0
  epoch: 0
  description: breaks
environment:
  environment:
    GREETING: good day
pipeline:
  - name: lay down
    runs: |
      mkdir -p src
      echo source > src/file
  - name: break
    working-directory: src
    runs: |
      echo half > partial
      exit 7
`;

/** What a shell in the image of that recipe finds. */
const look = 'pwd; echo "$GREETING"; ls; ls /.melange2/record.json';
const found = (capture: CaptureName) =>
  `/home/build/src\ngood day\nfile\n${capture === "current-state" ? "partial\n" : ""}/.melange2/record.json\n`;

const daemons = [
  { name: "Docker 20.10", socket: "MELANGE2_TEST_DOCKER20", always: "two-phase" },
  { name: "Docker 28", socket: "MELANGE2_TEST_DOCKER28", always: "current-state" },
  {
    name: "Docker 28 with the containerd image store",
    socket: "MELANGE2_TEST_DOCKER28_CONTAINERD",
    always: "last-good",
  },
] as const;

interface RegistryService {
  readonly name: string;
  readonly address: string;
  readonly login?: { readonly user: string; readonly password: string };
  readonly ca?: string;
  /** The capture that default runs try, too. */
  readonly always: CaptureName;
}

const registries: readonly RegistryService[] = [
  { name: "docker-registry 2.8", address: "MELANGE2_TEST_REGISTRY", always: "two-phase" },
  {
    name: "docker-registry 2.8 with a password",
    address: "MELANGE2_TEST_REGISTRY_AUTH",
    login: { user: "MELANGE2_TEST_REGISTRY_AUTH_USER", password: "MELANGE2_TEST_REGISTRY_AUTH_PASSWORD" },
    always: "last-good",
  },
  {
    name: "docker-registry 2.8 with TLS by a private authority",
    address: "MELANGE2_TEST_REGISTRY_TLS",
    ca: "MELANGE2_TEST_REGISTRY_TLS_CA",
    always: "current-state",
  },
  { name: "distribution 3.0", address: "MELANGE2_TEST_REGISTRY3", always: "current-state" },
];

// No other run uses these names in the services that several runs may share.
const unique = `${Date.now()}-${process.pid}`;

interface ExportReport {
  readonly ok: boolean;
  readonly message?: string;
  readonly hint?: string;
  readonly again?: readonly string[];
  readonly receipt: {
    readonly imageId: string;
    readonly manifest: { readonly digest: string };
    readonly location: string;
    readonly open: readonly (readonly string[])[];
    readonly note?: string;
    readonly bytes: number;
  };
  readonly capture: { readonly strategy: string };
}

interface Report {
  readonly status: string;
  readonly build: string;
  readonly failure: { readonly export: ExportReport };
}

async function here(test: TestContext): Promise<Place & { readonly base: string }> {
  root(test);
  const base = provided(test, "MELANGE2_TEST_BUSYBOX_TAR");
  const made = await place();
  onTestFinished(() => made[Symbol.asyncDispose]());
  await writeFile(join(made.directory, "hello.yaml"), recipe);
  return { ...made, base };
}

async function breaks(at: Place & { readonly base: string }, flags: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const args = ["build", "hello.yaml", "--base", at.base, "--export-on-failure", ...flags];
  const { code, value, stderr } = await at.json(args, { env });
  expect(code, stderr).toBe(1);
  return { report: value as Report, exported: (value as Report).failure.export, stderr };
}

/** Runs a command that was printed for opening the image: without a terminal and a network, which the tests' daemons have not. */
async function opened(argv: readonly string[], more: readonly string[] = []): Promise<string> {
  const [program = "", ...rest] = argv.filter((word) => word !== "-it");
  const at = rest.indexOf("run");
  const args = [...more, ...rest.slice(0, at + 1), "--network=none", ...rest.slice(at + 1), "-c", look];
  return (await call(program, args)).stdout;
}

describe.for(daemons)("into $name", ({ socket, always }) => {
  it.for(captures)("with %s: the printed command opens it where the step failed", async (capture, test) => {
    if (capture !== always) fullRun(test);
    const address = `unix://${provided(test, socket)}`;
    const at = await here(test);
    const name = `melange2-test:${capture}-${unique}`;
    onTestFinished(() => void call("docker", ["-H", address, "rmi", "-f", name]).catch(() => {}));
    const flags = ["--export-type=docker", `--export-ref=${name}`, `--capture=${capture}`, "--export-preflight=strict"];
    const { exported, stderr } = await breaks(at, flags, { DOCKER_HOST: address });
    expect(exported.ok, exported.message).toBe(true);
    expect(stderr).toContain(`-H ${address} run -it --rm ${name} /bin/sh`);
    expect(exported.capture.strategy).toBe(capture);

    const [image] = JSON.parse((await call("docker", ["-H", address, "image", "inspect", name])).stdout);
    expect(image.Id).toBe(exported.receipt.imageId);
    expect(await opened(exported.receipt.open[0] ?? [])).toBe(found(capture));

    const saved = join(at.directory, "saved.tar");
    await call("docker", ["-H", address, "save", "-o", saved, name]);
    const inspected = await call(program(test, "skopeo"), ["inspect", "--config", `docker-archive:${saved}`]);
    const { config } = JSON.parse(inspected.stdout);
    expect(config).toMatchObject({ WorkingDir: "/home/build/src", Labels: { "melange2.capture": capture } });
    expect(config.Env).toContain("GREETING=good day");
  });
});

/** The docker configuration, skopeo's arguments and melange2's flags for one registry. */
async function wayInto(test: TestContext, service: RegistryService, folder: string) {
  const host = provided(test, service.address);
  const { login, ca } = service;
  const credentials = login && `${provided(test, login.user)}:${provided(test, login.password)}`;
  const auths = credentials ? { [host]: { auth: Buffer.from(credentials).toString("base64") } } : {};
  await writeFile(join(folder, "config.json"), JSON.stringify({ auths }));
  const authority = ca && provided(test, ca);
  if (authority) await writeFile(join(folder, "ca.crt"), await readFile(authority));
  return {
    host,
    env: { DOCKER_CONFIG: folder },
    flags: authority ? ["--export-ca", authority] : [],
    skopeo: [
      ...(authority ? [`--cert-dir=${folder}`] : ["--tls-verify=false"]),
      ...(credentials ? [`--creds=${credentials}`] : []),
    ],
    secret: credentials?.split(":")[1],
  };
}

describe.for(registries)("to $name", (service) => {
  it.for(captures)("with %s: skopeo finds it, and Docker runs it by its digest", async (capture, test) => {
    if (capture !== service.always) fullRun(test);
    const at = await here(test);
    const way = join(at.directory, "docker-config");
    await mkdir(way);
    const { host, env, flags, skopeo, secret } = await wayInto(test, service, way);
    const ref = `${host}/destinations/${capture}-${unique}:failed`;
    const { exported, stderr, report } = await breaks(
      at,
      ["--export-type=registry", `--export-ref=${ref}`, `--capture=${capture}`, "--export-preflight=strict", ...flags],
      env,
    );
    expect(exported.ok, exported.message).toBe(true);
    const { receipt } = exported;
    expect(receipt.note).toContain("source code");
    expect(stderr).toContain(`goes to ${ref}, source code included`);
    const pinned = `${ref.replace(/:failed$/, "")}@${receipt.manifest.digest}`;
    expect(stderr).toContain(`run -it --rm ${pinned} /bin/sh`);
    if (secret) expect(`${stderr}${JSON.stringify(report)}`).not.toContain(secret);

    const inspected = await call(program(test, "skopeo"), ["inspect", ...skopeo, `docker://${ref}`]);
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      Digest: receipt.manifest.digest,
      Env: expect.arrayContaining(["GREETING=good day"]),
    });

    const address = `unix://${provided(test, "MELANGE2_TEST_DOCKER28")}`;
    onTestFinished(() => void call("docker", ["-H", address, "rmi", "-f", pinned]).catch(() => {}));
    expect(await opened(receipt.open[0] ?? [], ["--config", way, "-H", address])).toBe(found(capture));
  });
});

async function memoryRegistry(...options: Parameters<typeof startMemoryRegistry>): Promise<MemoryRegistry> {
  const server = await startMemoryRegistry(...options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

const { signal } = new AbortController();

describe("a second push", () => {
  it("of an image that differs in one step uploads that step; a base from the same registry is never sent", async (test) => {
    const at = await here(test);
    const server = await memoryRegistry();
    const layer = layerFromBytes(await readFile(at.base));
    {
      using repository = openRepository({ registry: server.host, repository: "bases/busybox" }, { signal });
      const config = {
        architecture: "amd64",
        os: "linux",
        config: {},
        rootfs: { type: "layers", diff_ids: [layer.diffId] },
      };
      const image = { config: Buffer.from(JSON.stringify(config)), annotations: {}, layers: [layer] };
      await pushImage(repository, image, { tag: "1", signal });
    }
    const baseBlobs = [...server.repository("bases/busybox").blobs.keys()];
    const baseBytes = Math.max(...[...server.repository("bases/busybox").blobs.values()].map((blob) => blob.length));

    const size = 6_000_000;
    // Sources apart from the recipe: editing it must not change them.
    await mkdir(join(at.directory, "hello"));
    const write = (seed: string) =>
      writeFile(
        join(at.directory, "hello.yaml"),
        recipe.replace(
          "  - name: break\n",
          ["one", seed]
            .map((name) => `  - runs: head -c ${size} /dev/urandom > ${name}\n`)
            .concat("  - name: break\n")
            .join(""),
        ),
      );
    const push = async (seed: string) => {
      await write(seed);
      const before = { bytes: server.bytesReceived, requests: server.requests.length };
      const flags = ["--export-type=registry", `--export-ref=${server.host}/debug:${seed}`];
      const { exported } = await breaks({ ...at, base: `${server.host}/bases/busybox:1` }, flags);
      expect(exported.ok, exported.message).toBe(true);
      return {
        bytes: server.bytesReceived - before.bytes,
        reported: exported.receipt.bytes,
        requests: server.requests.slice(before.requests),
      };
    };

    const first = await push("two");
    const second = await push("three");
    // The base went there when it was made, and never again: it was mounted.
    expect(first.bytes).toBeLessThan(1.05 * 2 * size);
    expect(first.bytes).toBeGreaterThan(2 * size);
    expect(second.bytes).toBeLessThan(1.05 * size);
    expect(second.bytes).toBeGreaterThan(size);
    expect(second.reported).toBe(second.bytes);
    for (const { requests } of [first, second]) {
      const bodies = requests.filter(({ bodyBytes }) => bodyBytes > 0 && bodyBytes === baseBytes);
      expect(bodies).toEqual([]);
      // Neither is what lies here pulled a second time.
      const pulled = requests.filter(({ method, url }) => method === "GET" && /bases\/busybox\/blobs/.test(url));
      expect(pulled.length).toBeLessThanOrEqual(requests === first.requests ? baseBlobs.length : 1);
    }
  });

  it("of the same failure has the same image ID and sends no layer", async (test) => {
    const at = await here(test);
    const server = await memoryRegistry();
    const flags = ["--export-type=registry", `--export-ref=${server.host}/debug:x`];
    const { report, exported } = await breaks(at, flags);
    const before = server.requests.length;
    const { value } = await at.json(["debug", "export", report.build, ...flags]);
    const again = value as ExportReport;
    expect(again.receipt.imageId).toBe(exported.receipt.imageId);
    const sent = server.requests.slice(before).filter(({ bodyBytes }) => bodyBytes > 0);
    expect(sent.every(({ url }) => url.includes("/manifests/"))).toBe(true);
  });
});

describe("before the first step", () => {
  const nowhere = ["--export-type=registry", "--export-ref=127.0.0.1:1/debug:x"];

  it("what is in the way is a warning, and the build goes on", async (test) => {
    const at = await here(test);
    const server = await memoryRegistry();
    server.misbehave({ method: "POST", answer: { status: 403 } });
    const { stderr, exported } = await breaks(at, ["--export-type=registry", `--export-ref=${server.host}/debug:x`]);
    expect(stderr).toMatch(/^warning: .*403.*\n {2}hint: .*\n/m);
    expect(stderr.indexOf("warning: ")).toBeLessThan(stderr.indexOf("lay down"));
    expect(exported.ok).toBe(true);
  });

  it.for([
    ["a registry", nowhere, {}],
    ["a daemon", ["--export-type=docker"], { DOCKER_HOST: "unix:///nowhere/docker.sock" }],
  ] as const)(
    "with --export-preflight=strict %s that does not answer ends the build, as does its variable",
    async ([, flags, env], test) => {
      const at = await here(test);
      const build = ["build", "hello.yaml", "--base", at.base, "--export-on-failure", ...flags];
      for (const [args, more] of [
        [[...build, "--export-preflight=strict"], {}],
        [build, { MELANGE2_EXPORT_PREFLIGHT: "strict" }],
      ] as const) {
        const ended = await at.run(args, { env: { ...env, ...more } });
        expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining("could not be delivered")]);
        expect(ended.stderr).not.toContain("lay down");
      }
    },
  );

  it("a kept build's export looks too", async (test) => {
    const at = await here(test);
    const { report } = await breaks(at, [`--export-path=${join(at.directory, "debug.tar")}`]);
    const args = ["debug", "export", report.build, ...nowhere, "--export-preflight=strict"];
    expect(await at.run(args)).toMatchObject({ code: 2, stderr: expect.stringContaining("could not be delivered") });
  });

  it("options come from flags, then from variables, and are checked by the exporter's schema", async (test) => {
    const at = await here(test);
    const server = await memoryRegistry();
    const variables = { MELANGE2_EXPORT_TYPE: "registry", MELANGE2_EXPORT_REF: `${server.host}/debug:from-variable` };
    const { exported } = await breaks(at, [], { ...variables, MELANGE2_EXPORT_INSECURE: "true" });
    expect(exported.receipt.location).toBe(`${server.host}/debug:from-variable`);
    const flag = await breaks(at, [`--export-ref=${server.host}/debug:from-flag`], variables);
    expect(flag.exported.receipt.location).toBe(`${server.host}/debug:from-flag`);
    const build = ["build", "hello.yaml", "--base", at.base, "--export-on-failure"];
    const refused = await at.run([...build, "--export-type=docker", "--export-ca=ca.pem", "--export-opt", "nope=1"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--export-ca: the exporter "docker" has no option "ca"');
    expect(refused.stderr).toContain('--export-opt nope: the exporter "docker" has no option "nope"');
    const half = await at.run([...build, "--export-opt", "ref"]);
    expect([half.code, half.stderr]).toEqual([2, expect.stringContaining("it has to be KEY=VALUE")]);
  });
});

it("an export that fails leaves the build and prints the one command that tries again", async (test) => {
  const at = await here(test);
  const server = await memoryRegistry();
  const ref = `${server.host}/debug:x`;
  server.misbehave({ method: "PUT", path: "/manifests/", times: 1000, answer: { status: 403 } });
  const flags = ["--export-type=registry", `--export-ref=${ref}`, "--capture=last-good", "--export-opt=insecure=false"];
  const { exported, stderr } = await breaks(at, flags, { MELANGE2_EXPORT_INSECURE: "1" });
  expect(exported.ok).toBe(false);
  expect(server.repository("debug").tags.get("x")).toBeUndefined();
  const commands = stderr.split("\n").filter((line) => line.includes("debug export"));
  expect(commands).toEqual([expect.stringContaining("try again:")]);

  const args = /debug export .*/.exec(commands[0] ?? "")?.[0].split(" ") ?? [];
  expect(args).toEqual(exported.again?.slice(1));
  expect(args).not.toContain("--export-insecure");
  expect(args).toContain("insecure=false");
  const stillRefused = await at.run(args);
  expect(stillRefused.code).toBe(4);
  // To another destination: the state is there.
  expect((await at.run([...args.slice(0, 3), "--export-path=debug.tar"])).code).toBe(0);
});

describe("a base in a registry", () => {
  it("is chosen by platform, kept, and named in errors when it is not there", async (test) => {
    const at = await here(test);
    const server = await memoryRegistry();
    using repository = openRepository({ registry: server.host, repository: "bases/many" }, { signal });
    const layer = layerFromBytes(await readFile(at.base));
    const manifests = [];
    for (const architecture of ["arm64", "amd64"]) {
      const config = {
        architecture,
        os: "linux",
        config: { Env: [`ARCH=${architecture}`] },
        rootfs: { type: "layers", diff_ids: [layer.diffId] },
      };
      const image = { config: Buffer.from(JSON.stringify(config)), annotations: {}, layers: [layer] };
      const { manifest } = await pushImage(repository, image, { tag: architecture, signal });
      manifests.push({ ...manifest, platform: { os: "linux", architecture } });
    }
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const content = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
    await repository.putManifest("all", { descriptor: descriptorOf(content, mediaType), content });

    const archive = join(at.directory, "debug.tar");
    const image = `${server.host}/bases/many`;
    await breaks({ ...at, base: `${image}:all` }, ["--export-path", archive]);
    const config = await call(program(test, "skopeo"), ["inspect", "--config", `oci-archive:${archive}`]);
    expect(JSON.parse(config.stdout)).toMatchObject({ architecture: "amd64" });

    const before = server.bytesSent;
    await breaks({ ...at, base: `${image}:all` }, ["--export-path", archive]);
    expect(server.bytesSent - before).toBeLessThan(20_000);

    const build = (base: string) => at.run(["build", "hello.yaml", "--base", base]);
    for (const [base, reason] of [
      [`${image}:arm64`, "is not there for linux/amd64, only for linux/arm64"],
      [`${image}:gone`, "cannot be pulled"],
      [`${server.host}/Bases/Many`, "names no image"],
      ["rootfs.tar", "there is no rootfs.tar"],
      ["busybox:latest", "names no image in a registry"],
    ] as const) {
      const ended = await build(base);
      expect([base, ended.code, ended.stderr]).toEqual([base, 2, expect.stringContaining(reason)]);
    }
  });

  it("needs the right credentials, and a path of that name comes first", async (test) => {
    const user = { username: "reader", password: "correct-horse-battery" };
    const at = await here(test);
    const server = await memoryRegistry({ access: { scheme: "bearer", ...user } });
    using repository = openRepository(
      { registry: server.host, repository: "bases/private" },
      { signal, credentials: async () => user },
    );
    const random = await randomImage(1);
    await pushImage(repository, { ...random, annotations: {} }, { tag: "1", signal });
    const base = `${server.host}/bases/private:1`;
    const build = (env: NodeJS.ProcessEnv) => at.run(["build", "hello.yaml", "--base", base], { env });
    const anonymous = await build({ DOCKER_CONFIG: at.directory });
    expect([anonymous.code, anonymous.stderr]).toEqual([2, expect.stringContaining("docker login")]);
    const auth = Buffer.from(`${user.username}:${user.password}`).toString("base64");
    await writeFile(join(at.directory, "config.json"), JSON.stringify({ auths: { [server.host]: { auth } } }));
    const known = await build({ DOCKER_CONFIG: at.directory });
    expect(known.stderr).not.toContain("cannot be pulled");

    await mkdir(join(at.directory, base), { recursive: true });
    const asPath = await build({ DOCKER_CONFIG: at.directory });
    expect([asPath.code, asPath.stderr]).toEqual([2, expect.stringContaining("empty")]);
  });
});
