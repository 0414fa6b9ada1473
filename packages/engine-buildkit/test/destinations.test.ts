import { execFileSync } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import type { EngineSession, Environment, ImageFile, ImageSpec, Snapshot, Target } from "@melange2/core";
import { flatten, layerFromEntries, tarHeader } from "@melange2/oci";
import { startRelay } from "@melange2-tooling/services";
import { beforeAll, describe, expect, test } from "vitest";
import { busyboxEnvironment, daemons, imageSpec, never } from "./daemons.ts";
import { after, atFailure, openBuild } from "./open-build.ts";

const buildkitd = process.env.MELANGE2_TEST_BUILDKIT;
const tar = process.env.MELANGE2_TEST_BUSYBOX_TAR;
const registry = process.env.MELANGE2_TEST_REGISTRY;
const guarded = {
  host: process.env.MELANGE2_TEST_REGISTRY_AUTH,
  username: process.env.MELANGE2_TEST_REGISTRY_AUTH_USER,
  password: process.env.MELANGE2_TEST_REGISTRY_AUTH_PASSWORD,
};

const megabyte = 1 << 20;

describe.skipIf(buildkitd === undefined || tar === undefined)("what goes through the client, with buildkitd", () => {
  let environment: Environment;
  beforeAll(() => {
    const body = randomBytes(4 * megabyte);
    const header = tarHeader({ name: "junk", type: "file", size: body.length });
    const base = busyboxEnvironment(tar as string);
    environment = { ...base, layers: [...base.layers, layerFromEntries([{ header, body }])] };
  });

  test("is a base once: a second build transfers nothing of it", async () => {
    const moved = async () => {
      await using counter = await startRelay(buildkitd as string);
      await using build = await openBuild(counter.address, environment);
      after(await build.run(build.start, `test -s /junk # ${randomUUID()}`));
      return counter.sent;
    };
    expect(await moved()).toBeGreaterThan(4 * megabyte);
    expect(await moved()).toBeLessThan(megabyte / 8);
  });

  test("is nothing of an image that the daemon pushes", async (context) => {
    if (registry === undefined) return context.skip("MELANGE2_TEST_REGISTRY is not set");
    await using counter = await startRelay(buildkitd as string);
    await using build = await openBuild(counter.address, environment);
    const failed = await build.run(build.start, `head -c ${4 * megabyte} /dev/urandom > /made; exit 1`);
    const image = build.session.image(atFailure(failed), imageSpec());
    const before = counter.sent;
    const reference = `${registry}/engine-buildkit/${randomUUID()}:failed`;
    const target: Target = { kind: "registry", reference, transport: {}, credentials: async () => undefined };
    const delivered = await image.deliver(target, { signal: never });
    expect(counter.sent - before).toBeLessThan(megabyte);
    const inspected = JSON.parse(skopeo("inspect", "--raw", reference)) as { config: { digest: string } };
    expect(inspected.config.digest).toBe(delivered?.imageId);
    expect(JSON.parse(skopeo("inspect", "--config", reference)).config.Labels).toEqual({ step: "main-1" });
    await using local = await image.open({ signal: never });
    expect(local.imageId).toBe(delivered?.imageId);
  });

  test("are the credentials of the registry, which no message shows", async (context) => {
    const { host, username, password } = guarded;
    if (host === undefined || username === undefined || password === undefined) return context.skip("no such registry");
    await using build = await openBuild(buildkitd as string, environment);
    const image = build.session.image(build.start, imageSpec());
    const push = (secret: string) =>
      image.deliver(
        {
          kind: "registry",
          reference: `${host}/engine-buildkit/${randomUUID()}:failed`,
          transport: {},
          credentials: async (asked) => (asked === host ? { username, password: secret } : undefined),
        },
        { signal: never },
      );
    expect((await push(password))?.imageId).toMatch(/^sha256:/);
    const error = await push("not-the-password").catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "export", message: expect.stringContaining(host) });
    expect(JSON.stringify(error) + (error as Error).stack).not.toContain("not-the-password");
  });

  test("are the bytes, where the daemon cannot reach or trust the registry", async () => {
    await using build = await openBuild(buildkitd as string, environment);
    const image = build.session.image(build.start, imageSpec());
    const target = { kind: "registry", credentials: async () => undefined } as const;
    const closed = { ...target, reference: "127.0.0.1:9/a/b:c", transport: {} };
    expect(await image.deliver(closed, { signal: never })).toBeUndefined();
    const private_ = { ...target, reference: `${registry}/a/b:c`, transport: { ca: "PEM" } };
    expect(await image.deliver(private_, { signal: never })).toBeUndefined();
  });
});

const dockers = daemons.filter(({ name }) => name !== "buildkitd");

describe.each(dockers)("an image for $name, which is the builder itself", ({ address = "" }) => {
  test.skipIf(address === "" || tar === undefined)("is made inside it, and runs", async () => {
    const docker = (...args: string[]) =>
      execFileSync("docker", ["-H", address.replace(/^docker/, "unix"), ...args], { encoding: "utf8" }).trim();
    await using build = await openBuild(address, busyboxEnvironment(tar as string));
    const failed = await build.run(build.start, `echo -n partial > /made; exit 1 # ${randomUUID()}`);
    const image = build.session.image(atFailure(failed), imageSpec());
    const daemonId = docker("info", "--format", "{{.ID}}");
    const name = `engine-buildkit:${randomUUID()}`;
    const delivered = await image.deliver({ kind: "docker-daemon", daemonId, names: [name] }, { signal: never });
    expect(docker("inspect", "--format", "{{.Id}}", name)).toBe(delivered?.imageId);
    const said = docker("run", "--rm", "--network=none", name, "/bin/sh", "-c", "cat /made; ls /.melange2");
    expect(said).toBe("partialnote");
    await using local = await image.open({ signal: never });
    // The containerd image store names an image by its manifest.
    const classic = !docker("info", "--format", "{{.DriverStatus}}").includes("io.containerd.snapshotter.v1");
    expect(local.imageId === delivered?.imageId).toBe(classic);
    expect(docker("inspect", "--format", "{{.RepoTags}}", name)).toBe(`[${name}]`);
  });
});

describe.each(daemons)("an image's own files, with $name", ({ address = "" }) => {
  const spec = (note: string, open: () => Promise<void>): ImageSpec => {
    const [folder, file] = imageSpec().files as readonly [ImageFile, ImageFile];
    const bytes = async function* () {
      await open();
      yield Buffer.from(note);
    };
    return { ...imageSpec(), files: [folder, { ...file, size: note.length, open: bytes }] };
  };
  const noteOf = async (session: EngineSession, at: Snapshot, of: ImageSpec) => {
    await using image = await session.image(at, of).open({ signal: never });
    const entry = (await flatten(image.layers.slice(-1))).get(".melange2/note");
    return entry?.sha256;
  };

  test.skipIf(address === "" || tar === undefined)("are its own, with others on the way at once", async () => {
    await using one = await openBuild(address, busyboxEnvironment(tar as string));
    await using other = await openBuild(address, busyboxEnvironment(tar as string));
    let opened = () => {};
    const bothOpened = new Promise<void>((resolve) => {
      let left = 2;
      opened = () => --left === 0 && resolve();
    });
    const open = async () => {
      opened();
      await bothOpened;
    };
    const notes = await Promise.all([
      noteOf(one.session, one.start, spec("mine", open)),
      noteOf(other.session, other.start, spec("your", open)),
    ]);
    expect(notes).toEqual(["mine", "your"].map(sha256));
  });

  test.skipIf(address === "" || tar === undefined)("are its own, however like the last one's they look", async () => {
    await using build = await openBuild(address, busyboxEnvironment(tar as string));
    for (const note of ["1000", "1001", "1002"]) {
      expect(
        await noteOf(
          build.session,
          build.start,
          spec(note, async () => {}),
        ),
      ).toBe(sha256(note));
    }
  });
});

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function skopeo(command: string, how: string, reference: string): string {
  return execFileSync("skopeo", [command, how, "--tls-verify=false", `docker://${reference}`], { encoding: "utf8" });
}
