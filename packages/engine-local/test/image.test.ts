import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Compression, DebugImage, EngineSession, ImageSpec, Snapshot } from "@melange2/core";
import {
  compress,
  digestOf,
  type FlatEntry,
  flatten,
  type Layer,
  layerFromTar,
  openImage,
  readTar,
  validateImage,
} from "@melange2/oci";
import { beforeEach, describe, expect, it } from "vitest";
import { busyboxEnvironment } from "./busybox-environment.ts";
import { debugSpec, file, fileSink } from "./debug-spec.ts";
import { type LocalBuild, never, openBuild, scratch, whyNot } from "./local-build.ts";

const missing = await whyNot();

beforeEach(({ skip }) => skip(missing !== undefined, missing));
const isRoot = process.getuid?.() === 0;
const idsAreMapped = isRoot || process.env.MELANGE2_TEST_MAPPING === "range";
const judges = ["skopeo", "umoci"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

/** Everything that a file system can hold and a layer must. */
const oddities = `set -e
cd /home/build
rm -rf /var/old; mkdir /var/old; echo new > /var/old/new
rm /etc/group; rm -rf /home/build/../build/none
mkdir -m 700 closed; echo x > closed/in; chmod 4755 closed/in; chmod 1777 closed
ln closed/in other-name; ln -s /no/where dangling; ln -s closed/in relative
mkfifo pipe
touch -d '2001-02-03 04:05:06' old-file; touch -d '2100-01-01 00:00:00' future-file
echo 1 > 'a b'; echo 2 > "$(printf 'new\\nline')"; echo 3 > "$(printf 'bad\\377byte')"; echo 4 > 'é'; echo 5 > '-n'; echo 6 > '*'
long=$(printf '%0200d' 0); mkdir -p $long/$long; echo deep > $long/$long/$long
head -c 3000000 /dev/urandom > random; dd if=/dev/zero of=sparse bs=1 count=1 seek=5000000 2>/dev/null
mkdir empty; : > nothing`;
const ownersAndDevices = "chown 1234:5678 nothing; chown -h 7:8 dangling";
const devices = "mknod blk b 7 1; mknod chr c 1 3";

async function image(session: EngineSession, at: Snapshot, spec: Partial<ImageSpec> = {}): Promise<DebugImage> {
  return session.image(at, debugSpec(spec));
}

async function layersOf(build: LocalBuild, at: Snapshot, spec: Partial<ImageSpec> = {}): Promise<readonly Layer[]> {
  const { layers } = await (await image(build.session, at, spec)).open({ signal: never });
  return layers;
}

/** The image's flattened tree and the state's, `/` itself aside, are the same. */
async function expectImageIsState(build: LocalBuild, at: Snapshot): Promise<void> {
  const flat = await flatten(await layersOf(build, at, { files: [] }));
  expect(comparable(flat)).toEqual(comparable(await build.tree(at)));
}

function comparable(tree: ReadonlyMap<string, FlatEntry>): ReadonlyMap<string, FlatEntry> {
  const entries = [...tree].filter(([path]) => path !== "");
  // With one uid everything is root's inside, while a base's own layers leave as they came.
  return new Map(idsAreMapped ? entries : entries.map(([path, entry]) => [path, { ...entry, uid: 0, gid: 0 }]));
}

describe("a debug image", () => {
  it("holds exactly the state, whatever was done to it", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const first = await build.after(base, oddities);
    const second = idsAreMapped ? await build.after(first, `cd /home/build; ${ownersAndDevices}`) : first;
    const third = isRoot ? await build.after(second, `cd /home/build; ${devices}`) : second;
    const last = await build.afterFailure(
      third,
      "cd /home/build; rm -rf closed 'a b' pipe; echo more >> other-name; mkdir /var/more; rm -r /var/old; exit 7",
    );
    await expectImageIsState(build, third);
    await expectImageIsState(build, last);
  });

  it("is the same state to skopeo and umoci", async ({ skip }) => {
    skip(!isRoot, "only root unpacks with umoci");
    skip(!judges, "skopeo and umoci are not installed");
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const one = await build.after(base, oddities);
    const two = await build.after(
      one,
      `cd /home/build; ${ownersAndDevices}; ${devices}; rm -r closed; rm -rf /var/old`,
    );
    const folder = scratch();
    const archive = join(folder, "image.tar");
    await (await image(build.session, two)).deliver(
      { kind: "archive", format: "oci", compression: "gzip", names: ["debug:x"], sink: fileSink(archive) },
      { signal: never },
    );
    execFileSync("skopeo", ["copy", "--quiet", `oci-archive:${archive}`, `oci:${join(folder, "layout")}:x`]);
    execFileSync("umoci", ["unpack", "--image", `${join(folder, "layout")}:x`, join(folder, "bundle")], {
      stdio: "ignore",
    });
    const tar = () =>
      execFileSync(
        "tar",
        [
          "--format=posix",
          "--numeric-owner",
          "--xattrs",
          "--xattrs-include=*",
          "-C",
          join(folder, "bundle", "rootfs"),
          "-cf",
          "-",
          ".",
        ],
        {
          maxBuffer: 1 << 28,
          env: { ...process.env, LC_ALL: "C" },
        },
      );
    const unpacked = await flatten([
      await layerFromTar(async function* () {
        yield tar();
      }),
    ]);
    const expected = new Map([...(await build.tree(two))]);
    for (const path of ["", ".melange2", ".melange2/record.json"]) {
      expected.delete(path);
      (unpacked as Map<string, unknown>).delete(path);
    }
    expect(new Map(unpacked)).toEqual(expected);
  });

  it("keeps attributes, of the base and of steps", async () => {
    const capability = Buffer.from([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    await using build = await openBuild();
    const base = await build.session.load(
      busyboxEnvironment([
        {
          name: "able",
          type: "file",
          mode: 0o755,
          xattrs: new Map([
            ["user.note", Buffer.from([0, 255, 61, 10])],
            ...(idsAreMapped ? [["security.capability", capability] as const] : []),
          ]),
        },
      ]),
      { signal: never },
    );
    const after = await build.after(base, "chmod 700 /able");
    const found = (await build.tree(after)).get("able");
    expect(found?.mode).toBe(0o700);
    expect(found?.xattrs["user.note"]).toBe(Buffer.from([0, 255, 61, 10]).toString("base64"));
    await expectImageIsState(build, after);
  });

  it("has one ID, however, whenever and by whatever session it is exported", async () => {
    const stateDirectory = join(scratch(), "state");
    const ids = new Set<string>();
    const deliver = async (made: DebugImage, compression: Compression) => {
      const archive = join(scratch(), "image.tar");
      const target = {
        kind: "archive",
        format: "oci",
        compression,
        names: ["debug:x"],
        sink: fileSink(archive),
      } as const;
      const delivered = await made.deliver(target, { signal: never });
      ids.add(delivered?.imageId ?? "");
      expect(await validateImage(await openImage(archive))).toEqual([]);
    };
    let ref = {} as Awaited<ReturnType<EngineSession["keep"]>>;
    {
      await using build = await openBuild({ stateDirectory });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      const state = await build.afterFailure(base, "echo partial > /partial; exit 1");
      ref = await build.session.keep(state, { signal: never });
      const made = await image(build.session, state);
      for (const compression of ["none", "gzip", "zstd"] as const) await deliver(made, compression);
    }
    await using build = await openBuild({ stateDirectory });
    const state = await build.session.find(JSON.parse(JSON.stringify(ref)), { signal: never });
    const made = await image(build.session, state as Snapshot);
    await deliver(made, "gzip");
    ids.add((await made.open({ signal: never })).imageId);
    for (const name of readdirSync(stateDirectory))
      for (const blob of readdirSync(join(stateDirectory, name, "blobs")))
        execFileSync("rm", [join(stateDirectory, name, "blobs", blob)]);
    await deliver(made, "none");
    expect([...ids]).toHaveLength(1);
  });

  it("brings the base as it came, compressed or not, first", async () => {
    const { layers, ...rest } = busyboxEnvironment();
    const [plain] = layers as [Layer];
    const packed = Buffer.concat(await Array.fromAsync(compress(plain.open("tar"), "gzip", { level: 9 })));
    const blob = {
      mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
      digest: digestOf(packed),
      size: packed.length,
    };
    const compressed = {
      diffId: plain.diffId,
      blob,
      open: (as: "tar" | "blob") =>
        as === "tar"
          ? plain.open("tar")
          : (async function* () {
              yield packed;
            })(),
    };
    await using build = await openBuild();
    const base = await build.session.load({ ...rest, layers: [compressed] }, { signal: never });
    const state = await build.after(base, "echo one > /one");
    const [first, ...others] = await layersOf(build, state);
    expect(first?.diffId).toBe(plain.diffId);
    expect(first?.blob?.digest).toBe(blob.digest);
    expect(others).toHaveLength(2);
    const folder = scratch();
    for (const compression of ["none", "gzip", "zstd"] as const) {
      const archive = join(folder, `${compression}.tar`);
      const target = { kind: "archive", format: "docker", compression, names: [], sink: fileSink(archive) } as const;
      await (await image(build.session, state)).deliver(target, { signal: never });
      const listing = execFileSync("tar", ["-tf", archive], { encoding: "utf8" });
      expect(listing).toContain(`blobs/sha256/${blob.digest.slice(7)}`);
    }
  });

  it("says what made each layer, in the caller's words where they fit", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const state = await build.after(await build.after(base, "echo 1 > /1"), "true");
    const words = async (history: readonly string[]) => {
      const { config } = await (await image(build.session, state, { history })).open({ signal: never });
      return JSON.parse(Buffer.from(config).toString()).history.map(
        (entry: { created_by: string }) => entry.created_by,
      );
    };
    const around = (...steps: readonly string[]) => ["base layer 1 of 1", ...steps, "melange2: the failure record"];
    expect(await words(["first", "second"])).toEqual(around("first", "second"));
    expect(await words(["too few"])).toEqual(around("step 1", "step 2"));
    expect(await words(["one", "too", "many"])).toEqual(around("step 1", "step 2"));
  });

  it("does not take targets that are not its own", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const made = await image(build.session, base);
    expect(await made.deliver({ kind: "docker-daemon", daemonId: "x", names: [] }, { signal: never })).toBeUndefined();
  });

  it("has its own files on top, with the time of the failure", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const layers = await layersOf(build, base, { files: [file("one", "1"), file("two", "22")] });
    const names: string[] = [];
    for await (const { header } of readTar((layers.at(-1) as Layer).open("tar"))) {
      names.push(`${header.name} ${header.size}`);
      expect(header.mtime).toBe(BigInt(Date.parse("2026-01-31T12:00:00Z")) * 1_000_000n);
    }
    expect(names).toEqual(["one 1", "two 2"]);
  });

  it("of 120 steps fits into Docker's 125 layers and is still exactly the state", { timeout: 120_000 }, async () => {
    await using build = await openBuild();
    let state = await build.session.load(busyboxEnvironment(), { signal: never });
    for (let step = 0; step < 120; step++)
      state = await build.after(
        state,
        `mkdir -p /work/d${step % 7}; echo ${step} > /work/d${step % 7}/f${step % 5}; ln -f /work/d${step % 7}/f${step % 5} /work/l${step % 11}
         [ $((${step} % 6)) -ne 5 ] || rm -rf /work/d${(step + 3) % 7}; rm -f /work/l${(step + 5) % 11}`,
      );
    const layers = await layersOf(build, state);
    expect(layers.length).toBeLessThanOrEqual(125);
    await expectImageIsState(build, state);
  });
});
