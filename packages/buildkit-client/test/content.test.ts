import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type BlobStore,
  type BuildkitClient,
  connect,
  directoryTree,
  layoutStore,
  type Tree,
  type TreeEntry,
} from "../src/index.ts";
import { buildkitd, createRoot, daemons, nonce } from "./daemons.ts";
import { copyOf, define, run, source } from "./graph.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "melange2-buildkit-content-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** `times`: of directories too. */
function describeTree(root: string, times: boolean, path = ""): readonly string[] {
  return readdirSync(join(root, path)).flatMap((name) => {
    const one = join(path, name);
    const stat = lstatSync(join(root, one));
    const mode = (stat.mode & 0o7777).toString(8);
    const content = stat.isFile()
      ? createHash("sha256")
          .update(readFileSync(join(root, one)))
          .digest("hex")
      : stat.isSymbolicLink()
        ? readlinkSync(join(root, one))
        : "directory";
    const time = stat.isDirectory() && !times ? "" : Math.floor(stat.mtimeMs / 1000);
    const line = `${one} ${mode} ${stat.uid}:${stat.gid} ${time} ${content}`;
    return stat.isDirectory() ? [line, ...describeTree(root, times, one)] : [line];
  });
}

describe.each(daemons)("trees, to and from $name", (daemon) => {
  describe.skipIf(daemon.address === undefined)(daemon.skip, () => {
    let client: BuildkitClient;
    beforeAll(async () => {
      client = await connect(daemon.address as string);
    });
    afterAll(() => client.close());

    it("go there and back unchanged", async () => {
      const from = mkdtempSync(join(directory, "from-"));
      mkdirSync(join(from, "a/b"), { recursive: true });
      writeFileSync(join(from, "a.b"), "sorts before a/ as text");
      writeFileSync(join(from, "a/ü"), Buffer.alloc(300_000, "x"));
      writeFileSync(join(from, "a/empty"), "");
      chmodSync(join(from, "a/empty"), 0o4711);
      chmodSync(join(from, "a/b"), 0o1777);
      symlinkSync("../nowhere", join(from, "a/b/link"));
      linkSync(join(from, "a.b"), join(from, "a/z-hard"));
      for (let index = 0; index < 200; index++) writeFileSync(join(from, `a/b/${index}`), `${index}`);
      utimesSync(join(from, "a/empty"), 1_000_000_000, 1_000_000_000);
      const to = join(directory, `to-${nonce()}`);
      const name = nonce();
      const definition = define(source(`local://${name}`));
      await client.solve(definition, {
        serve: { trees: { [name]: directoryTree(from) } },
        exports: [{ type: "local", directory: to }],
      });
      // Docker 20.10 sets a directory's time before it fills the directory.
      const times = daemon.name !== "dockerd 20.10";
      expect(describeTree(to, times)).toEqual(describeTree(from, times));
      expect(lstatSync(join(to, "a/z-hard")).ino).toBe(lstatSync(join(to, "a.b")).ino);
    });

    it("are brought up to date, with nothing left over", async () => {
      const from = mkdtempSync(join(directory, "again-"));
      writeFileSync(join(from, "file"), "content");
      linkSync(join(from, "file"), join(from, "linked"));
      symlinkSync("file", join(from, "symlink"));
      const name = nonce();
      const definition = define(source(`local://${name}`, { "local.sharedkeyhint": name }));
      for (const text of ["first", "changed", "changed again"]) {
        writeFileSync(join(from, "other"), text);
        const to = join(directory, `to-${nonce()}`);
        await client.solve(definition, {
          serve: { trees: { [name]: directoryTree(from) } },
          exports: [{ type: "local", directory: to }],
        });
        expect(describeTree(to, false)).toEqual(describeTree(from, false));
      }
    });

    it("may be made of nothing on disk", async () => {
      const attributes = { uid: 5, gid: 6, mtime: 1_500_000_000_123_456_789n };
      const entries: readonly TreeEntry[] = [
        {
          ...attributes,
          path: "d/file",
          mode: 0o640,
          type: "file",
          size: 3,
          open: async function* () {
            yield Buffer.from("abc");
          },
        },
        { ...attributes, path: "d", mode: 0o2755, type: "directory" },
        { ...attributes, path: "d/fifo", mode: 0o600, type: "fifo" },
        { ...attributes, path: "d/socket", mode: 0o755, type: "socket" },
        { ...attributes, path: "d/null", mode: 0o666, type: "device", device: "character", major: 1, minor: 3 },
        {
          ...attributes,
          path: "d/cap",
          mode: 0o755,
          type: "file",
          size: 0,
          open: async function* () {},
          xattrs: { "user.note": Buffer.from("x") },
        },
      ];
      const tree: Tree = { entries: () => entries };
      const name = nonce();
      await using job = client.job({ serve: { trees: { [name]: tree } } });
      const at = await job.solve(define(source(`local://${name}`)));
      const listed = await job.readDir(at, "/d");
      const file = listed.find((one) => one.name === "file");
      expect(file).toMatchObject({
        type: "file",
        mode: 0o640,
        uid: 5,
        gid: 6,
        size: 3,
        mtime: 1_500_000_000_123_456_789n,
      });
      expect(listed.find((one) => one.name === "fifo")?.type).toBe("fifo");
      expect(listed.find((one) => one.name === "socket")).toMatchObject({ type: "file", mode: 0o755, size: 0 });
      expect(listed.find((one) => one.name === "null")?.type).toBe("device");
      expect((await job.statFile(at, "/d")).mode).toBe(0o2755);
      expect(Buffer.from(await job.readFile(at, "/d/file")).toString()).toBe("abc");
    });

    it("that change while they are sent fail the solve, which says so", async () => {
      const entry: TreeEntry = {
        path: "f",
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 0n,
        type: "file",
        size: 5,
        open: async function* () {
          yield Buffer.from("abc");
        },
      };
      const name = nonce();
      const solved = client.solve(define(copyOf(source(`local://${name}`))), {
        serve: { trees: { [name]: { entries: () => [entry] } } },
      });
      await expect(solved).rejects.toMatchObject({
        code: "session",
        message: expect.stringContaining("f had 5 bytes and now has 3"),
      });
    });

    it("are not received into a directory that holds something", async () => {
      const to = mkdtempSync(join(directory, "full-"));
      writeFileSync(join(to, "mine"), "");
      const solved = client.solve(define(source("local://x", { "local.unique": nonce() })), {
        serve: { trees: { x: { entries: () => [] } } },
        exports: [{ type: "local", directory: to }],
      });
      await expect(solved).rejects.toMatchObject({ code: "session", message: expect.stringContaining("is not empty") });
      expect(readdirSync(to)).toEqual(["mine"]);
    });
  });
});

describe.skipIf(buildkitd.address === undefined)(`an OCI layout as a base ${buildkitd.skip}`, () => {
  it("is read through the content store, once, and nothing else of it", async () => {
    const root = createRoot();
    const layout = join(directory, "layout");
    // A nonce of its own, so that no earlier run has left its blobs in the daemon.
    writeFileSync(join(root.directory, "nonce"), nonce());
    const manifest = makeLayout(layout, root.directory);
    const reads: string[] = [];
    const inner = layoutStore(layout);
    const store: BlobStore = {
      size: (digest) => inner.size(digest),
      read: (digest, start, end) => {
        reads.push(digest);
        return inner.read(digest, start, end);
      },
    };
    await using client = await connect(buildkitd.address as string);
    const base = source(`oci-layout://docker.io/library/base@${manifest}`, { "oci.store": "base" });
    await client.solve(define(run(base, `cat /nonce; : ${nonce()}`)), { serve: { stores: { base: store } } });
    expect(new Set(reads).size).toBe(3);
    reads.length = 0;
    await client.solve(define(run(base, `cat /nonce; : ${nonce()}`)), { serve: { stores: { base: store } } });
    expect(reads).toEqual([]);
    const other = source(`oci-layout://docker.io/library/base@sha256:${"1".repeat(64)}`, { "oci.store": "base" });
    await expect(
      client.solve(define(run(other, "true")), { serve: { stores: { base: store } } }),
    ).rejects.toMatchObject({
      message: expect.stringContaining("not found"),
    });
    await expect(client.solve(define(run(other, "true")))).rejects.toMatchObject({
      message: expect.stringContaining("is not served here"),
    });
    root.remove();
  });
});

function makeLayout(layout: string, root: string): string {
  mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
  const put = (data: Uint8Array) => {
    const digest = createHash("sha256").update(data).digest("hex");
    writeFileSync(join(layout, "blobs/sha256", digest), data);
    return { digest: `sha256:${digest}`, size: data.length };
  };
  const tar = execFileSync("tar", ["-C", root, "--owner=0", "--group=0", "-cf", "-", "."], { maxBuffer: 1 << 28 });
  const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  const layer = put(gzipSync(tar));
  const config = put(
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === "arm64" ? "arm64" : "amd64",
        os: "linux",
        config: {},
        rootfs: { type: "layers", diff_ids: [diffId] },
      }),
    ),
  );
  const type = "application/vnd.oci.image";
  return put(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: `${type}.manifest.v1+json`,
        config: { mediaType: `${type}.config.v1+json`, ...config },
        layers: [{ mediaType: `${type}.layer.v1.tar+gzip`, ...layer }],
      }),
    ),
  ).digest;
}
