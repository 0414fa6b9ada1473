import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  type FlatEntry,
  flatten,
  openImage,
  readTar,
  type TarInput,
  tarHeader,
  writeAll,
  writeTar,
} from "@melange2/oci";
import { fullRun, program, provided, root } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { daemons } from "./daemons.ts";
import { everyKind, type Kind, kinds } from "./every-kind.ts";
import { type Place, place } from "./melange2.ts";

const call = promisify(execFile);

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 180_000 });

const captures = ["current-state", "last-good", "two-phase"] as const;
const destinations = ["tarball", "docker", "registry"] as const;

/** Every kind with every capture, such that any two of kind, capture, destination and daemon meet. */
const cases = kinds.flatMap((kind, i) =>
  captures.map((capture, j) => ({
    kind,
    capture,
    destination: destinations[(i + j) % 3] as (typeof destinations)[number],
    daemon: daemons[(i + 2 * j) % 3] as (typeof daemons)[number],
  })),
);
/** What every run tries: each capture, destination and daemon once. */
const always = cases.slice(0, 3);

describe("a build that fails on BuildKit", () => {
  it.for(cases)(
    "$kind, $capture, $destination, $daemon.name: the image that the embedded engine gives",
    async (one, test) => {
      if (!always.includes(one)) fullRun(test);
      root(test);
      program(test, "skopeo");
      const address = one.daemon.scheme + provided(test, one.daemon.variable);
      const dockerSocket =
        one.daemon.scheme === "" ? provided(test, "MELANGE2_TEST_DOCKER20") : address.slice(one.daemon.scheme.length);
      await using here = await place();
      const base = await prepare(here, one.kind, provided(test, "MELANGE2_TEST_BUSYBOX_TAR"));
      const arguments_ = [
        "build",
        "--no-network",
        "source/every-kind.yaml",
        ...base,
        "--export-on-failure",
        `--capture=${one.capture}`,
      ];

      const local = await here.run([...arguments_, "--export-path=local.tar"]);
      expect(local.code, local.stderr).toBe(1);

      const reference =
        one.destination === "registry"
          ? `${provided(test, "MELANGE2_TEST_REGISTRY")}/cli/${randomUUID()}:failed`
          : `cli:${randomUUID()}`;
      const exporting =
        one.destination === "tarball"
          ? ["--export-path=buildkit.tar"]
          : [`--export-type=${one.destination}`, `--export-ref=${reference}`];
      const env = { DOCKER_HOST: `unix://${dockerSocket}` };
      const engine = ["--engine", "buildkit", "--buildkit-addr", address];
      const failed = await here.run([...arguments_, ...engine, ...exporting], { env });
      expect(failed.code, failed.stderr).toBe(1);
      expect(failed.stderr).toContain("exported to");

      const archive = join(here.directory, "buildkit.tar");
      if (one.destination === "registry") {
        await call("skopeo", [
          "copy",
          "-q",
          "--src-tls-verify=false",
          `docker://${reference}`,
          `docker-archive:${archive}`,
        ]);
      } else if (one.destination === "docker") {
        await call("docker", ["-H", `unix://${dockerSocket}`, "save", "-o", archive, reference]);
        await call("docker", ["-H", `unix://${dockerSocket}`, "rmi", reference]);
      }
      const [expected, seen] = await Promise.all([imageIn(join(here.directory, "local.tar")), imageIn(archive)]);
      expect(seen.tree).toEqual(expected.tree);
      expect(seen.config).toEqual(expected.config);
      expect(seen.history).toEqual(expected.history);
    },
  );
});

/** Lays out the recipe with what it needs; gives the flags that name it. */
async function prepare(here: Place, kind: Kind, busybox: string): Promise<readonly string[]> {
  const { source, pipeline } = everyKind(kind);
  const at = (...names: string[]) => join(here.directory, ...names);
  for (const folder of ["source", "cache", "pipelines/ours"]) await mkdir(at(folder), { recursive: true });
  await chmod(at("cache"), 0o777);
  for (const [name, text] of Object.entries(source)) await writeFile(at("source", name), text);
  await writeFile(at("pipelines/ours/write.yaml"), pipeline);
  const file = await open(at("base.tar"), "wx");
  await using _ = file;
  await writeAll(file, writeTar(withCapability(busybox)));
  return ["--base", at("base.tar"), "--pipeline-dir=pipelines", "--cache-dir=cache"];
}

/** The base with a file in it that may use raw sockets, whoever starts it. */
async function* withCapability(busybox: string): AsyncGenerator<TarInput> {
  for await (const entry of readTar(createReadStream(busybox))) yield entry;
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
  const xattrs = new Map([["security.capability", capability]]);
  yield {
    header: tarHeader({ name: "bin/capable", type: "file", mode: 0o755, mtime: 1_600_000_000_500_000_000n, xattrs }),
  };
}

/** What must be the same, whatever engine made it. */
async function imageIn(archive: string) {
  const image = await openImage(archive);
  const { Labels, ...config } = image.file.config;
  const { "melange2.build": _build, "melange2.engine": _engine, ...labels } = Labels ?? {};
  const tree = await flatten(image.layers);
  return {
    config: { ...config, labels },
    // When each was made is of its own build.
    history: image.file.history.map(({ created: _created, ...entry }) => entry),
    tree: Object.fromEntries(
      [...tree].flatMap(([path, entry]) => (isDaemons(path) ? [] : [[path, outline(path, entry)]])),
    ),
  };
}

/** Mount points that a daemon makes, and what it writes for a container. */
function isDaemons(path: string): boolean {
  return path === "" || /^(?:dev|proc|sys)(?:\/|$)|^etc(?:\/hosts|\/resolv\.conf)?$|^var\/cache/.test(path);
}

function outline(path: string, { size, sha256, mtime, xattrs, ...entry }: FlatEntry) {
  const ofRecord = /^\.melange2\/(?:record\.json|greeting)$/.test(path);
  // What steps made, they made at different times.
  const old = mtime / 1_000_000_000n < 1_700_000_001n;
  return {
    ...entry,
    ...(ofRecord ? {} : { sha256 }),
    ...(old && entry.type !== "directory" ? { seconds: Number(mtime / 1_000_000_000n) } : {}),
    capability: xattrs["security.capability"],
  };
}
