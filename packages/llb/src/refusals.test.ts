import { describe, expect, it } from "vitest";
import { isLlbError, LlbError } from "./error.ts";
import { exec } from "./exec.ts";
import { file } from "./file.ts";
import { normalizeReference } from "./reference.ts";
import { image, ociLayout } from "./source.ts";
import { scratch } from "./state.ts";

const base = image("alpine");

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
