import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  diff,
  exec,
  file,
  image,
  local,
  type Mount,
  marshal,
  merge,
  ociLayout,
  type State,
  scratch,
} from "../src/index.ts";

const daemon = process.env.MELANGE2_TEST_BUILDKIT;
const buildctl = process.env.MELANGE2_TEST_BUILDCTL;
const busyboxRoot = process.env.MELANGE2_TEST_BUSYBOX_DIR;
const busybox = busyboxRoot === undefined ? "/usr/bin/busybox" : join(busyboxRoot, "bin/busybox");
/** Why nothing here can run, if so. */
const missing =
  daemon === undefined || buildctl === undefined
    ? "MELANGE2_TEST_BUILDKIT and MELANGE2_TEST_BUILDCTL are not set"
    : existsSync(busybox)
      ? undefined
      : `${busybox} is missing`;

/** A root with a shell, by content: the digests of what stands on it are the same in every run. */
const root = file(
  scratch,
  [
    {
      type: "copy",
      from: local("root", { sharedKeyHint: "llb-test" }),
      source: "/",
      destination: "/",
      contents: true,
      timestamp: 0n,
    },
    { type: "mkdir", path: "/a/b", parents: true, mode: 0o750, owner: { uid: 5, gid: 6 }, timestamp: 1_000_000_000n },
  ],
  { name: "root" },
);

/** Every op and every mount there is. The nonce keeps runs of the test apart. */
function everything(nonce: string): State {
  const shell = (script: string, mounts: readonly Mount[], options: object = {}) =>
    exec(root, { args: ["/bin/sh", "-ec", script, nonce], env: { PATH: "/bin", A: "ü" }, mounts, ...options });
  const first = shell(
    'test "$(cat /s)" = hush; test "$(stat -c %a /s)" = 444; test ! -e /o; echo x > /made/x; echo y > /c/y; : > /t/z; if (echo > /ro/x) 2>/dev/null; then exit 3; fi',
    [
      { type: "tmpfs", target: "/t", size: 1 << 20 },
      { type: "bind", target: "/ro", from: root, selector: "/bin", readonly: true },
      { type: "bind", target: "/made", from: scratch },
      { type: "cache", target: "/c", id: `llb-${nonce}`, sharing: "private" },
      { type: "secret", target: "/s", id: "s", mode: 0o444, uid: 7, gid: 8 },
      { type: "secret", target: "/o", id: "absent", optional: true },
    ],
    { network: "none", secretEnv: [{ name: "E", id: "s" }], name: "first", progressGroup: { id: "g", name: "group" } },
  );
  const second = shell("exit 7", [{ type: "cache", target: "/c", id: `llb-${nonce}`, sharing: "locked" }], {
    validExitCodes: [0, 7],
    user: "5:6",
    cwd: "/a/b",
    name: "second",
    description: { "com.example": "kept" },
  });
  const third = exec(second.root, { args: ["/bin/sh", "-c", "true"], ignoreCache: true, name: "third" });
  const files = file(
    third.root,
    [
      {
        type: "copy",
        from: first.mount("/made"),
        source: "/x*",
        destination: "/copied/",
        parents: true,
        wildcard: true,
        mode: 0o4750,
      },
      { type: "mkfile", path: "/f", data: "text", owner: { uid: 1, gid: 2 }, mode: 0o640, timestamp: 5n },
      {
        type: "copy",
        from: root,
        source: "/",
        destination: "/all",
        contents: true,
        include: ["bin"],
        exclude: ["bin/sh"],
      },
      { type: "remove", path: "/a/b" },
      { type: "remove", path: "/nothing", optional: true },
    ],
    { name: "files" },
  );
  return merge([root, diff(root, files, { name: "diff" }), first.mount("/made")], { name: "merge" });
}

describe.skipIf(missing !== undefined)(
  `digests, held against buildctl and buildkitd (${missing ?? "both there"})`,
  () => {
    let directory = "";
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), "melange2-llb-"));
      mkdirSync(join(directory, "root/bin"), { recursive: true });
      copyFileSync(busybox, join(directory, "root/bin/busybox"));
      for (const applet of ["sh", "cat", "stat", "true"]) symlinkSync("busybox", join(directory, "root/bin", applet));
      writeFileSync(join(directory, "secret"), "hush");
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    it("are those that the daemon shows, and the graph does what it says", () => {
      const definition = marshal(everything(String(process.hrtime.bigint())));
      const out = join(directory, "out");
      const progress = run(
        [
          "--addr",
          daemon as string,
          "build",
          "--progress=rawjson",
          "--local",
          `root=${join(directory, "root")}`,
        ].concat(["--secret", `id=s,src=${join(directory, "secret")}`, "--output", `type=local,dest=${out}`]),
        definition.bytes,
      );
      const shown = new Map<string, string>();
      for (const { vertexes = [] } of progress as { vertexes?: { digest: string; name: string }[] }[]) {
        for (const { digest, name } of vertexes) shown.set(digest, name);
      }
      for (const { digest, name } of definition.vertices) {
        expect(shown.get(digest), `${name} ${digest}`).toBe(name ?? "local://root");
      }
      expect(definition.vertices.map(({ name }) => name)).toEqual(
        expect.arrayContaining(["root", "first", "second", "third", "files", "diff", "merge"]),
      );
      expect(readFileSync(join(out, "copied/x"), "utf8")).toBe("x\n");
      expect(statSync(join(out, "copied/x")).mode & 0o7777).toBe(0o4750);
      expect(readFileSync(join(out, "x"), "utf8")).toBe("x\n");
      expect(readFileSync(join(out, "f"), "utf8")).toBe("text");
      expect(existsSync(join(out, "all/bin/busybox"))).toBe(true);
      expect(existsSync(join(out, "all/bin/sh"))).toBe(false);
      expect(existsSync(join(out, "a/b"))).toBe(false);
      for (const stub of ["s", "o", "t", "c", "made", "ro"]) expect(existsSync(join(out, stub)), stub).toBe(false);
    });

    it("are those that buildctl reads out of the definition", () => {
      const top = merge([
        everything("fixed"),
        image("alpine", { platform: { os: "linux", architecture: "arm64", variant: "v8" }, resolveMode: "pull" }),
        ociLayout(`x@sha256:${"0".repeat(64)}`, { store: "store", session: "one" }),
        local("dir", { include: ["a"], exclude: ["b"], followPaths: ["c"], unique: "u", session: "s" }),
      ]);
      const definition = marshal(top);
      const dumped = run(["debug", "dump-llb"], definition.bytes) as { Digest: string; Op: { inputs?: unknown[] } }[];
      expect(dumped.slice(0, -1).map(({ Digest }) => Digest)).toEqual(definition.vertices.map(({ digest }) => digest));
      expect(dumped.at(-1)?.Op).toEqual({ inputs: [{ digest: definition.digest }], Op: {} });
    });

    function run(args: readonly string[], input: Uint8Array): unknown[] {
      const result = spawnSync(buildctl as string, args, { input, encoding: "utf8" });
      expect(result.status, result.stderr).toBe(0);
      return `${result.stdout}${result.stderr}`
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    }
  },
);
