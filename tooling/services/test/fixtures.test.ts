import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "@melange2-tooling/machine";
import { expect, test } from "vitest";
import { provided, root } from "../src/provided.ts";

test("the busybox root runs, with the install applet that Debian's lacks", async (context) => {
  root(context);
  const directory = provided(context, "MELANGE2_TEST_BUSYBOX_DIR");
  const applets = "for applet in sh tar sed awk wget install; do command -v $applet; done";
  expect((await run(["chroot", directory, "/bin/sh", "-c", applets])).trim().split("\n")).toHaveLength(6);
});

test("the busybox tar belongs to root throughout", async (context) => {
  const listing = await run(["tar", "--numeric-owner", "-tvf", provided(context, "MELANGE2_TEST_BUSYBOX_TAR")]);
  const owners = new Set(
    listing
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/)[1]),
  );
  expect(owners).toEqual(new Set(["0/0"]));
});

test("the tar for C builds holds a compiler and the autotools", async (context) => {
  const tar = provided(context, "MELANGE2_TEST_C_BUILD_TAR");
  const names = (await run(["tar", "-tf", tar])).split("\n");
  expect(names).toEqual(
    expect.arrayContaining(["./usr/bin/gcc", "./usr/bin/autoreconf", "./usr/bin/libtoolize", "./usr/bin/patch"]),
  );
});

test("source tarballs lie under their digests, and libev's is the one that the corpus's recipe expects", async (context) => {
  const folder = provided(context, "MELANGE2_TEST_SOURCES");
  const names = readdirSync(folder);
  expect(names).toHaveLength(2);
  for (const name of names) {
    const digest = createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
    expect(name).toBe(`sha256:${digest}`);
  }
  const recipes = provided(context, "MELANGE2_TEST_CORPUS_RECIPES");
  const libev = await run(["find", recipes, "-name", "libev.yaml"]);
  const expected = /expected-sha256: ([0-9a-f]{64})/.exec(readFileSync(libev.trim(), "utf8"))?.[1];
  expect(names).toContain(`sha256:${expected}`);
});

test("one test user has a range of ids and the other none", (context) => {
  const ranged = provided(context, "MELANGE2_TEST_USER_RANGE");
  const plain = provided(context, "MELANGE2_TEST_USER_PLAIN");
  for (const table of ["/etc/subuid", "/etc/subgid"]) {
    const lines = readFileSync(table, "utf8").split("\n");
    expect(lines.filter((line) => line.startsWith(`${ranged}:`))).toEqual([expect.stringMatching(/:65536$/)]);
    expect(lines.filter((line) => line.startsWith(`${plain}:`))).toEqual([]);
  }
});
