import { describe, expect, it } from "vitest";
import { isLlbError, LlbError } from "./error.ts";
import { exec } from "./exec.ts";
import { file } from "./file.ts";
import type { Mount } from "./mount.ts";
import { normalizeReference } from "./reference.ts";
import { image, local, ociLayout } from "./source.ts";
import { scratch } from "./state.ts";

const base = image("alpine");
const pinned = `x@sha256:${"0".repeat(64)}`;
const environment = (env: Readonly<Record<string, string>>) => exec(base, { args: ["a"], env });
const mounted = (mount: Mount) => exec(base, { args: ["a"], mounts: [mount] });

describe("what cannot be is refused where it is written", () => {
  const cases: readonly [string, () => unknown, string][] = [
    ["no program", () => exec(base, { args: [] }), "exec: there is no program to run"],
    ["a relative cwd", () => exec(base, { args: ["a"], cwd: "src" }), 'exec, cwd: "src" is not absolute'],
    ["a relative path", () => file(base, [{ type: "mkdir", path: "a" }]), 'mkdir: "a" is not absolute'],
    [
      "two mounts in one place",
      () =>
        exec(base, {
          args: ["a"],
          mounts: [
            { type: "tmpfs", target: "/t/" },
            { type: "tmpfs", target: "/x/../t" },
          ],
        }),
      "exec: /t is mounted twice",
    ],
    [
      "a second root",
      () => exec(base, { args: ["a"], mounts: [{ type: "tmpfs", target: "/" }] }),
      "exec: / is mounted twice",
    ],
    [
      "a run that leaves nothing",
      () => exec(base, { args: ["a"], readonlyRoot: true }),
      "exec: nothing that it does is kept",
    ],
    ["no actions", () => file(base, []), "file: there are no actions"],
    ["a layout by tag", () => ociLayout("x:latest", { store: "s" }), 'ociLayout: "x:latest" does not pin a manifest'],
    [
      "a layout with an odd name",
      () => ociLayout(`X@sha256:${"0".repeat(64)}`, { store: "s" }),
      `ociLayout: "X@sha256:${"0".repeat(64)}" is not an image reference`,
    ],
    ["a store without a name", () => ociLayout(pinned, { store: "" }), "ociLayout, store: it is empty"],
    ["a directory without a name", () => local(""), "local, name: it is empty"],
    ["a program without a name", () => exec(base, { args: ["", "a"] }), "exec, args: it is empty"],
    ["half an argument", () => exec(base, { args: ["a", "b\0c"] }), "exec, args: it holds a NUL character"],
    ["half a path", () => exec(base, { args: ["a"], cwd: "/a\0" }), "exec, cwd: it holds a NUL character"],
    ["half a user", () => exec(base, { args: ["a"], user: "0\0" }), "exec, user: it holds a NUL character"],
    ["half a value", () => environment({ A: "\0" }), "exec, env A: it holds a NUL character"],
    ["a variable without a name", () => environment({ "": "a" }), "exec, env: it is empty"],
    ["two variables in one", () => environment({ "A=B": "a" }), 'exec, env: "A=B" is not the name of a variable'],
    ["no value", () => environment({ A: undefined as never }), "exec, env A: undefined is not a text"],
    [
      "a secret in two variables",
      () => exec(base, { args: ["a"], secretEnv: [{ name: "A=B", id: "a" }] }),
      'exec, secretEnv: "A=B" is not the name of a variable',
    ],
    [
      "a secret variable of nothing",
      () => exec(base, { args: ["a"], secretEnv: [{ name: "A", id: "" }] }),
      "exec, secretEnv A, id: it is empty",
    ],
    [
      "a secret of nothing",
      () => mounted({ type: "secret", target: "/s", id: "" }),
      "exec, secret /s, id: it is empty",
    ],
    ["a cache of nothing", () => mounted({ type: "cache", target: "/c", id: "" }), "exec, cache /c, id: it is empty"],
    [
      "nobody's secret",
      () => mounted({ type: "secret", target: "/s", id: "s", uid: -1 }),
      "exec, secret /s, uid: -1 is not a whole number from 0 to 4294967295",
    ],
    [
      "a secret that is executed as somebody",
      () => mounted({ type: "secret", target: "/s", id: "s", mode: 0o4755 }),
      "exec, secret /s, mode: 0o4755 is not a whole number from 0o0 to 0o777",
    ],
    [
      "half a byte",
      () => mounted({ type: "tmpfs", target: "/t", size: 1.5 }),
      "exec, tmpfs /t, size: 1.5 is not a whole number from 1 to 9007199254740991",
    ],
    [
      "an exit code that no program has",
      () => exec(base, { args: ["a"], validExitCodes: [256] }),
      "exec, validExitCodes: 256 is not a whole number from 0 to 255",
    ],
    [
      "a sticky new directory",
      () => file(base, [{ type: "mkdir", path: "/a", mode: 0o1777 }]),
      "mkdir, mode: 0o1777 is not a whole number from 0o0 to 0o777",
    ],
    [
      "a new program that is executed as somebody",
      () => file(base, [{ type: "mkfile", path: "/a", data: "", mode: 0o4755 }]),
      "mkfile, mode: 0o4755 is not a whole number from 0o0 to 0o777",
    ],
    [
      "a mode with a type",
      () => file(base, [{ type: "copy", from: base, source: "/a", destination: "/b", mode: 0o100644 }]),
      "copy, mode: 0o100644 is not a whole number from 0o0 to 0o7777",
    ],
    [
      "a mode as a text",
      () => file(base, [{ type: "mkdir", path: "/a", mode: "755" as never }]),
      "mkdir, mode: 755 is not a whole number from 0o0 to 0o777",
    ],
    [
      "nobody's file",
      () => file(base, [{ type: "mkdir", path: "/a", owner: { uid: 0, gid: 2 ** 32 } }]),
      "mkdir, owner.gid: 4294967296 is not a whole number from 0 to 4294967295",
    ],
    [
      "a time that stands for none",
      () => file(base, [{ type: "mkdir", path: "/a", timestamp: -1n }]),
      "mkdir, timestamp: -1 is not a whole number from 0 to 9223372036854775807",
    ],
    ["an odd name", () => image("a b"), 'image: "a b" is not an image reference'],
    [
      "a result that is none",
      () =>
        exec(base, { args: ["a"], mounts: [{ type: "bind", target: "/r", from: base, readonly: true }] }).mount("/r"),
      "exec: /r is not one of its results",
    ],
  ];
  it.each(cases)("%s", (_, attempt, message) => {
    expect(attempt).toThrow(LlbError);
    try {
      attempt();
    } catch (error) {
      expect(isLlbError(error) && error.message).toBe(message);
      expect(isLlbError(error) && error.hint).toMatch(/\.$/);
    }
  });
});

describe("results of an exec", () => {
  it("are numbered by target and leave a read-only root as it is", () => {
    const run = exec(base, {
      args: ["a"],
      readonlyRoot: true,
      mounts: [
        { type: "bind", target: "/b", from: scratch },
        { type: "bind", target: "/a", from: base },
        { type: "cache", target: "/aa", id: "c" },
      ],
    });
    expect(run.root).toBe(base);
    expect([run.mount("/a").output, run.mount("/b/").output]).toEqual([0, 1]);
  });
});

describe("normalizeReference", () => {
  const digest = `sha256:${"0a".repeat(32)}`;

  it.each([
    ["alpine", "docker.io/library/alpine:latest"],
    ["alpine:3", "docker.io/library/alpine:3"],
    ["a/b", "docker.io/a/b:latest"],
    ["docker.io/alpine", "docker.io/library/alpine:latest"],
    ["localhost/a", "localhost/a:latest"],
    ["localhost:5000/a/b:c", "localhost:5000/a/b:c"],
    ["ghcr.io/a", "ghcr.io/a:latest"],
    [`a@${digest}`, `docker.io/library/a@${digest}`],
    [`a:b@${digest}`, `docker.io/library/a:b@${digest}`],
    ["index.docker.io/a", "docker.io/library/a:latest"],
    ["[::1]:5000/a", "[::1]:5000/a:latest"],
    ["Host/a", "Host/a:latest"],
    ["a-b.c:1/x/y__z--w:T", "a-b.c:1/x/y__z--w:T"],
    [`a:${"t".repeat(128)}`, `docker.io/library/a:${"t".repeat(128)}`],
  ])("%s is %s", (short, full) => expect(normalizeReference(short)).toBe(full));

  it.each([
    ...["", "Alpine", "a/B", "alpine:", "a@", "a@b", "/a", "a//b", "a/", "a:b:c", "localhost/"],
    ...["a:b/c/", "a:.b", "a b"],
    ...["a@sha256:00", `a@${digest}0`, `a@${digest}:b`, `a@${digest.toUpperCase()}`, `a@${digest}@${digest}`, "a\n"],
    ...["-a.b/c", "a.b-/c", "a..b/c", "a.b:/c", "a.b:x/c", "[::1/a", "[x]:1/a", "a_", "a.-b", "a___b", "-a"],
    ...[`a:${"t".repeat(129)}`, `x/${"a".repeat(254)}`],
  ])("%j is none", (reference) =>
    expect(() => normalizeReference(reference)).toThrow(`image: "${reference}" is not an image reference`),
  );
});
