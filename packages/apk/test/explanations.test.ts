import { expect, test } from "vitest";
import {
  createUniverse,
  type PackageRecord,
  parseIndexText,
  type RepositoryIndex,
  resolveEnvironment,
  UnresolvableError,
} from "../src/index.ts";

// What a person reads whose environment cannot be resolved. Who sees one of these must know what to change.

type Some = Partial<Pick<PackageRecord, "depends" | "provides" | "origin">>;

/** A repository of packages, each as `NAME-VERSION` and what it needs and provides. */
function repository(packages: Readonly<Record<string, Some>>, name = "os", tag = ""): RepositoryIndex {
  const text = Object.entries(packages).map(([label, { depends = [], provides = [], origin = "" }]) => {
    const [, name, version] = /^(.*)-([^-]+-r[^-]+)$/.exec(label) ?? [];
    return `P:${name}\nV:${version}\no:${origin}\nD:${depends.join(" ")}\np:${provides.join(" ")}\n\n`;
  });
  return { url: `https://packages.example.com/${name}/x86_64`, tag, packages: parseIndexText(text.join(""), name) };
}

function explained(world: readonly string[], ...repositories: readonly RepositoryIndex[]): string {
  try {
    resolveEnvironment(createUniverse(repositories), world);
  } catch (error) {
    if (!(error instanceof UnresolvableError)) throw error;
    expect(error.hint).toMatch(/^[A-Z].*\.$/);
    return `\n${error.message}\n  hint: ${error.hint}\n`;
  }
  throw new Error("it was resolved");
}

const libc = { "musl-1.2.4-r0": { provides: ["so:libc.musl-x86_64.so.1=1"] } };

test("a name that is misspelled", () => {
  const os = repository({ "automake-1.16.5-r0": {}, "autoconf-2.71-r0": {}, "make-4.4-r0": {} });
  expect(explained(["make", "autmake"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package is called or provides autmake
      the environment asks for autmake
        names like it: automake
      hint: Correct the name, as in automake, or add the repository that has it.
    "
  `);
});

test("a name that is like none", () => {
  expect(explained(["zzgl-quux"], repository(libc))).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package is called or provides zzgl-quux
      the environment asks for zzgl-quux
      hint: Correct the name, or add the repository that has it.
    "
  `);
});

test("a dependency that nobody provides, three packages down", () => {
  const os = repository({
    "app-1.0-r0": { depends: ["libapp"] },
    "libapp-1.0-r0": { depends: ["so:libssl.so.3"] },
    "openssl-1.1-r0": { provides: ["so:libssl.so.1.1=1.1"] },
  });
  expect(explained(["app"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package is called or provides so:libssl.so.3
      the environment asks for app
      app-1.0-r0 needs libapp
      libapp-1.0-r0 needs so:libssl.so.3
        names like it: so:libssl.so.1.1
      hint: Add the repository that has so:libssl.so.3, or ask for another version of libapp.
    "
  `);
});

test("a version that there is not", () => {
  const os = repository({ "go-1.20.1-r0": {}, "go-1.21.5-r0": {} });
  expect(explained(["go=1.22.0-r0"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for go=1.22.0-r0
      the environment asks for go=1.22.0-r0
        go-1.21.5-r0 (https://packages.example.com/os/x86_64): its version 1.21.5-r0 does not fit
        go-1.20.1-r0 (https://packages.example.com/os/x86_64): its version 1.20.1-r0 does not fit
      hint: Ask for a version that there is, such as go=1.21.5-r0, or add the repository that has go=1.22.0-r0.
    "
  `);
});

test("a version that only an older package has", () => {
  const os = repository({ "python3-3.11.6-r0": {}, "py3-pip-23.3-r0": { depends: ["python3~3.12"] } });
  expect(explained(["py3-pip"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for python3~3.12
      the environment asks for py3-pip
      py3-pip-23.3-r0 needs python3~3.12
        python3-3.11.6-r0 (https://packages.example.com/os/x86_64): its version 3.11.6-r0 does not fit
      hint: Add the repository that has python3~3.12, or ask for another version of py3-pip.
    "
  `);
});

test("two packages that need other versions of a third", () => {
  const os = repository({
    "a-1.0-r0": { depends: ["lib=1.0-r0"] },
    "b-1.0-r0": { depends: ["lib=2.0-r0"] },
    "lib-1.0-r0": {},
    "lib-2.0-r0": {},
  });
  expect(explained(["a", "b"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for lib=2.0-r0
      the environment asks for b
      b-1.0-r0 needs lib=2.0-r0
        lib-2.0-r0 (https://packages.example.com/os/x86_64): its version 2.0-r0 does not fit lib=1.0-r0 of a-1.0-r0
        lib-1.0-r0 (https://packages.example.com/os/x86_64): its version 1.0-r0 does not fit
      hint: Change or leave out a-1.0-r0 or b, or add a repository with lib in a version that fits both.
    "
  `);
});

test("a version in the environment against one that a package needs", () => {
  const os = repository({ "app-1.0-r0": { depends: ["zlib>=1.3"] }, "zlib-1.2.13-r0": {}, "zlib-1.3-r0": {} });
  expect(explained(["app", "zlib<1.3"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for zlib>=1.3
      the environment asks for app
      app-1.0-r0 needs zlib>=1.3
        zlib-1.3-r0 (https://packages.example.com/os/x86_64): its version 1.3-r0 does not fit zlib<1.3 of the environment
        zlib-1.2.13-r0 (https://packages.example.com/os/x86_64): its version 1.2.13-r0 does not fit
      hint: Change or leave out zlib<1.3 or app in the environment's packages, or add a repository with zlib in a version that fits both.
    "
  `);
});

test("a package of a repository with a tag", () => {
  const os = repository(libc);
  const edge = repository({ "zig-0.11.0-r0": {} }, "edge", "edge");
  expect(explained(["zig"], os, edge)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for zig
      the environment asks for zig
        zig-0.11.0-r0 (https://packages.example.com/edge/x86_64): its repository has the tag @edge, which has to be asked for
      hint: Ask for zig@edge in the environment's packages.
    "
  `);
});

test("a dependency that only a repository with a tag has", () => {
  const os = repository({ "app-1.0-r0": { depends: ["so:libnew.so.1"] } });
  const edge = repository({ "libnew-1.0-r0": { provides: ["so:libnew.so.1=1.0"] } }, "edge", "edge");
  expect(explained(["app"], os, edge)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for so:libnew.so.1
      the environment asks for app
      app-1.0-r0 needs so:libnew.so.1
        libnew-1.0-r0 (https://packages.example.com/edge/x86_64): its repository has the tag @edge, which has to be asked for
      hint: Ask for libnew@edge in the environment's packages.
    "
  `);
});

test("a package that the environment keeps out", () => {
  const os = repository({ "app-1.0-r0": { depends: ["busybox"] }, "busybox-1.36-r0": {} });
  expect(explained(["!busybox", "app"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for busybox
      the environment asks for app
      app-1.0-r0 needs busybox
        busybox-1.36-r0 (https://packages.example.com/os/x86_64): kept out by !busybox of the environment
      hint: Change or leave out !busybox or app in the environment's packages.
    "
  `);
});

test("a package that another one keeps out", () => {
  const os = repository({
    "a-slim-1.0-r0": { depends: ["!full"] },
    "app-1.0-r0": { depends: ["a-slim", "full"] },
    "full-1.0-r0": {},
  });
  expect(explained(["app"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for full
      the environment asks for app
      app-1.0-r0 needs full
        full-1.0-r0 (https://packages.example.com/os/x86_64): kept out by !full of a-slim-1.0-r0
      hint: Change or leave out a-slim-1.0-r0 or app.
    "
  `);
});

test("two packages that may have only one name", () => {
  const os = repository({
    "baselayout-1.0-r0": { provides: ["layout=1.0"] },
    "baselayout-merged-1.0-r0": { provides: ["layout=1.0"] },
  });
  expect(explained(["baselayout", "baselayout-merged"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for baselayout-merged
      the environment asks for baselayout-merged
        baselayout-merged-1.0-r0 (https://packages.example.com/os/x86_64): baselayout-1.0-r0 has the name layout already, and only one package may
      hint: Leave out one of the two: baselayout-merged, baselayout cannot be installed together.
    "
  `);
});

test("a shared library of another version", () => {
  const os = repository({
    "app-1.0-r0": { depends: ["so:libfoo.so.2>=2.1"] },
    "libfoo-2.0-r0": { provides: ["so:libfoo.so.2=2.0"] },
  });
  expect(explained(["app"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for so:libfoo.so.2>=2.1
      the environment asks for app
      app-1.0-r0 needs so:libfoo.so.2>=2.1
        libfoo-2.0-r0 (https://packages.example.com/os/x86_64): its version 2.0 does not fit
      hint: Add the repository that has so:libfoo.so.2>=2.1, or ask for another version of app.
    "
  `);
});

test("a command that nobody has", () => {
  const os = repository({ "gcc-13.2-r0": { provides: ["cmd:gcc=13.2-r0"] }, "app-1.0-r0": { depends: ["cmd:g++"] } });
  expect(explained(["app"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package is called or provides cmd:g++
      the environment asks for app
      app-1.0-r0 needs cmd:g++
      hint: Add the repository that has cmd:g++, or ask for another version of app.
    "
  `);
});

test("a version that is none", () => {
  const os = repository({ "app-1.0-r0": {} });
  expect(explained(["app=latest"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for app=latest
      the environment asks for app=latest
        app-1.0-r0 (https://packages.example.com/os/x86_64): its version 1.0-r0 does not fit
      hint: Write a version that apk knows, such as 1.2.3-r0, in place of latest, or leave it out.
    "
  `);
});

test("more candidates than anybody reads", () => {
  const os = repository(Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`app-1.${i}-r0`, {}])));
  expect(explained(["app>2"], os)).toMatchInlineSnapshot(`
    "
    the packages cannot be resolved: no package can be taken for app>2
      the environment asks for app>2
        app-1.11-r0 (https://packages.example.com/os/x86_64): its version 1.11-r0 does not fit
        app-1.10-r0 (https://packages.example.com/os/x86_64): its version 1.10-r0 does not fit
        app-1.9-r0 (https://packages.example.com/os/x86_64): its version 1.9-r0 does not fit
        app-1.8-r0 (https://packages.example.com/os/x86_64): its version 1.8-r0 does not fit
        app-1.7-r0 (https://packages.example.com/os/x86_64): its version 1.7-r0 does not fit
        app-1.6-r0 (https://packages.example.com/os/x86_64): its version 1.6-r0 does not fit
        app-1.5-r0 (https://packages.example.com/os/x86_64): its version 1.5-r0 does not fit
        app-1.4-r0 (https://packages.example.com/os/x86_64): its version 1.4-r0 does not fit
        and 4 more
      hint: Ask for a version that there is, such as app=1.11-r0, or add the repository that has app>2.
    "
  `);
});

test("what the hints say helps", () => {
  const os = repository({ "app-1.0-r0": { depends: ["so:libnew.so.1"] } });
  const edge = repository({ "libnew-1.0-r0": { provides: ["so:libnew.so.1=1.0"] } }, "edge", "edge");
  const { packages } = resolveEnvironment(createUniverse([os, edge]), ["app", "libnew@edge"]);
  expect(packages.map(({ label }) => label)).toEqual(["libnew-1.0-r0", "app-1.0-r0"]);
});

test("names with terminal sequences are shown, not obeyed", () => {
  const os = repository({ "app-1.0-r0": { depends: ["\u001b[2Jlib"] } });
  expect(explained(["app"], os)).not.toContain("\u001b");
});
