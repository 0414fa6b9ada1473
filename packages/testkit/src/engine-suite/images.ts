import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ByteSink, Compression, DebugImage, ImageSpec, Target } from "@melange2/core";
import { parseImageConfig } from "@melange2/oci";
import { type ArchivedImage, readImageArchive } from "../read-image-archive.ts";
import { treeOf } from "../scripted/tree.ts";
import { assertRejects, type Bench, type Declare } from "./bench.ts";

/** Debug images: what is in the state and the spec, and nothing of when and where they were made. */
export function declareImages(declare: Declare): void {
  declare("an image is the base's layers, the steps' and its own files, with the config of its spec", async (bench) => {
    const state = await changed(bench);
    const history = ["melange2: one", "melange2: two"];
    const image = bench.session.image(state, { ...suiteSpec(), history });
    await using local = await image.open({ signal: bench.signal });
    const base = bench.environment.layers.map(({ diffId }) => diffId);
    const config = parseImageConfig(local.config);
    assert.deepEqual(
      local.layers.map(({ diffId }) => diffId).slice(0, base.length),
      base,
      "the base's layers come first",
    );
    assert.deepEqual(
      config.diffIds,
      local.layers.map(({ diffId }) => diffId),
    );
    assert.equal(config.history.filter((entry) => !entry.empty_layer).length, config.diffIds.length);
    const words = config.history.map((entry) => entry.created_by);
    assert.deepEqual(words.slice(base.length, base.length + 2), history, "the steps' layers have the caller's words");
    const { labels, ...spec } = suiteSpec();
    assert.deepEqual({ ...config.config }, { ...spec.config, Labels: labels });
    assert.deepEqual([config.platform.os, config.created], [spec.platform.os, spec.created]);
    assert.deepEqual(local.annotations, spec.annotations);

    const tree = await treeOf(local.layers);
    assert.equal(Buffer.from(tree.get(".melange2/note")?.body ?? []).toString(), "note");
    assert.equal(tree.get(".melange2/note")?.header.mode, 0o755);
    const created = BigInt(Date.parse(spec.created)) * 1_000_000n;
    const second = 1_000_000_000n;
    const expected = bench.session.can.mtime === "ns" ? created : (created / second) * second;
    assert.equal(tree.get(".melange2/note")?.header.mtime, expected);
    // Implicit parents aside, the image holds what can be read from the state.
    const outline = (entries: Iterable<readonly [string, { header: { type: string; size: number; uid: number } }]>) =>
      [...entries]
        .filter(([path, { header }]) => header.type !== "directory" && !path.startsWith(".melange2"))
        .map(([path, { header }]) => `${path} ${header.type === "hardlink" ? "file" : header.type} ${header.uid}`)
        .sort();
    const names = [...tree].map(([path, entry]) => [Buffer.from(path, "latin1").toString(), entry] as const);
    assert.deepEqual(outline(names), outline(await bench.look(state, "/")));
    assert.ok(tree.has("suite/made") && !tree.has("suite/delete"));
  });

  for (const compression of ["none", "gzip", "zstd"] as const) {
    declare(`every engine writes archives, compression ${compression}; skopeo and umoci take them`, async (bench) => {
      const image = bench.session.image(await changed(bench), suiteSpec());
      assert.ok(bench.session.can.claims.includes("archive"));
      await withFolder(async (folder) => {
        const path = join(folder, "debug.tar");
        const { arrived, delivered, progress } = await archived(image, compression, path, bench.signal);
        assert.equal(delivered?.imageId, arrived.imageId);
        assert.equal(delivered.bytes, (await stat(path)).size);
        assert.deepEqual(arrived.names, ["suite:debug", "registry.example.com/suite:debug"]);
        assert.equal(
          await imageIdOf(image, bench.signal),
          arrived.imageId,
          "the archive holds another image than open() gives",
        );
        for (const [done, total] of progress) assert.ok(total === undefined || done <= total);
        judge(path, folder);
      });
    });
  }

  declare("the same state and spec give the same image, whenever and wherever", async (bench) => {
    const state = await changed(bench);
    const first = await imageIdOf(bench.session.image(state, suiteSpec()), bench.signal);
    assert.equal(await imageIdOf(bench.session.image(state, suiteSpec()), bench.signal), first);
    const other = { ...suiteSpec(), labels: { step: "other" } };
    assert.notEqual(await imageIdOf(bench.session.image(state, other), bench.signal), first);
  });

  declare("says of a target that it does not know: not mine", async (bench) => {
    const image = bench.session.image(bench.start, suiteSpec());
    const unknown = { kind: "carrier-pigeon" } as unknown as Target;
    const elsewhere: Target = { kind: "docker-daemon", daemonId: "no such daemon", names: ["suite:debug"] };
    for (const target of [unknown, elsewhere])
      assert.equal(await image.deliver(target, { signal: bench.signal }), undefined);
  });

  declare(
    "a hundred and thirty steps run one on another, and their image stays below Docker's limit of layers",
    async (bench) => {
      let state = bench.start;
      for (let index = 0; index < 130; index += 1)
        state = await bench.succeed(`echo ${index} > /suite/count; echo > /suite/${index}`, state);
      assert.equal(await bench.tell("cat /suite/count; ls /suite | grep -c '^[0-9]'", state), "129\n130");
      await using local = await bench.session.image(state, suiteSpec()).open({ signal: bench.signal });
      assert.ok(local.layers.length < 125, `${local.layers.length} layers`);
      const tree = await treeOf(local.layers);
      assert.equal(Buffer.from(tree.get("suite/count")?.body ?? []).toString(), "129\n");
      assert.ok(tree.has("suite/0") && tree.has("suite/129"));
    },
  );

  declare("a delivery ends when it is interrupted, or its sink breaks, and the next one works", async (bench) => {
    const image = bench.session.image(await changed(bench), suiteSpec());
    const stop = new AbortController();
    const interrupting: ByteSink = {
      write: async () => stop.abort(),
      close: async () => assert.fail("half an archive was closed"),
    };
    const target = { kind: "archive", format: "docker", compression: "none", names: [] } as const;
    await assertRejects(image.deliver({ ...target, sink: interrupting }, { signal: stop.signal }), "interrupted");
    const broken = new Error("the disk is full");
    const breaking: ByteSink = {
      write: () => Promise.reject(broken),
      close: async () => assert.fail("half an archive was closed"),
    };
    await assert.rejects(image.deliver({ ...target, sink: breaking }, { signal: bench.signal }));
    await withFolder((folder) => archived(image, "none", join(folder, "debug.tar"), bench.signal));
  });
}

/** A spec with everything in it that a debug image has. */
export function suiteSpec(): ImageSpec {
  const note = new TextEncoder().encode("note");
  const owner = { uid: 0, gid: 0 };
  const bytesOf = async function* (...chunks: readonly Uint8Array[]) {
    yield* chunks;
  };
  return {
    platform: { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" },
    config: { Env: ["PATH=/bin", "STEP=main-1"], WorkingDir: "/suite", Cmd: ["/bin/sh"], User: "1000:1000" },
    labels: { step: "main-1" },
    annotations: { step: "main-1" },
    created: "2026-11-01T12:00:00.250Z",
    history: ["melange2 step main-0"],
    files: [
      { path: ".melange2", kind: "directory", mode: 0o755, owner, size: 0, open: () => bytesOf() },
      { path: ".melange2/note", kind: "file", mode: 0o755, owner, size: note.length, open: () => bytesOf(note) },
    ],
  };
}

export async function imageIdOf(image: DebugImage, signal: AbortSignal): Promise<string> {
  await using local = await image.open({ signal });
  return local.imageId;
}

async function changed(bench: Bench) {
  const one = await bench.succeed("echo made > /suite/made; rm /suite/delete; mv /suite/folder /suite/moved");
  return bench.succeed(
    "chmod 600 /suite/made; ln /suite/made /suite/linked; rm -r /suite/moved; mkdir /suite/moved",
    one,
  );
}

async function archived(image: DebugImage, compression: Compression, path: string, signal: AbortSignal) {
  const file = await open(path, "wx");
  const sink: ByteSink = { write: async (chunk) => void (await file.writeFile(chunk)), close: () => file.close() };
  const progress: (readonly [number, number | undefined])[] = [];
  const delivered = await image.deliver(
    {
      kind: "archive",
      format: "docker",
      compression,
      names: ["suite:debug", "registry.example.com/suite:debug"],
      sink,
    },
    { signal, onProgress: (done, total) => progress.push([done, total]) },
  );
  const arrived: ArchivedImage = await readImageArchive(createReadStream(path));
  return { arrived, delivered, progress };
}

/** Foreign opinions, where they are installed. */
function judge(path: string, folder: string): void {
  if (spawnSync("skopeo", ["--version"]).error) return;
  const skopeo = (...args: readonly string[]) => {
    const { status, stderr } = spawnSync("skopeo", ["--insecure-policy", ...args], { encoding: "utf8" });
    assert.equal(status, 0, `skopeo ${args.join(" ")}: ${stderr}`);
  };
  skopeo("copy", "-q", `docker-archive:${path}:suite:debug`, `oci:${folder}/from-docker:debug`);
  skopeo("copy", "-q", `oci-archive:${path}:debug`, `oci:${folder}/layout:debug`);
  if (spawnSync("umoci", ["--version"]).error || process.getuid?.() !== 0) return;
  const { status, stderr } = spawnSync(
    "umoci",
    ["unpack", "--image", `${folder}/from-docker:debug`, `${folder}/bundle`],
    {
      encoding: "utf8",
    },
  );
  // umoci 0.4 knows no zstd.
  if (/zstd/.test(stderr)) return;
  assert.equal(status, 0, stderr);
}

async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "melange2-suite-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
