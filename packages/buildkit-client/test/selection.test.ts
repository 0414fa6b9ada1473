import { execFile } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, directoryTree } from "../src/index.ts";
import { buildkitd, nonce } from "./daemons.ts";
import { copyOf, define, source } from "./graph.ts";

const files = [
  "Dockerfile",
  "README.md",
  "docs/README.md",
  "docs/deep/README.md",
  "docs/deep/deeper/page.html",
  "src/main.c",
  "src/main.o",
  "src/lib/lib.c",
  "src/lib/lib.o",
  "src.old/main.c",
  "with, comma/file",
  "with blank/file",
  "ümlaut/datei",
  "brackets[1]/file",
  "x+y.z",
  "node_modules/a/index.js",
];
const links = {
  current: "src.old",
  absolute: "/docs/deep",
  chain: "current/main.c",
  "docs/up": "../src/lib",
  circle: "circle",
  dangling: "nowhere/at/all",
};
const hardlinks = { "linked/again": "src/main.c", "linked/twice": "src/main.c" };

interface Case {
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly follow?: readonly string[];
}

const cases: readonly Case[] = [
  { include: ["src"] },
  { include: ["src/*.c"] },
  { include: ["**/*.c"] },
  { include: ["**/README.md", "Docker*"] },
  { include: ["docs/**"] },
  { include: ["docs/**/page.html", "!docs/deep"] },
  { include: ["docs/", "./src/../README.md"] },
  { include: ["with, comma", "x+y.z"] },
  { include: ["ümlaut", "with, comma"] },
  { include: ["brackets[[]1]", "src/[a-l]ib"] },
  { include: ["brackets\\[1\\]"] },
  { include: ["?rc/m*.?"] },
  { include: ["nothing"] },
  { include: ["**.c"] },
  { include: ["**n.c", "**ADME.md", "!**/deep/**"] },
  { include: ["brackets[\\[]1[\\]]"] },
  { include: ["src/lib", "!src", "!src/lib"], follow: ["Dockerfile"] },
  { include: ["linked"] },
  { exclude: ["node_modules"] },
  { exclude: ["**.md", "**.c", "!src/**.c"] },
  { exclude: Array.from({ length: 1000 }, (_, index) => `none-${index}`).concat("src") },
  { exclude: ["**/*.o", "docs"] },
  { exclude: ["docs", "!docs/deep/README.md"] },
  { exclude: ["*", "!src"] },
  { exclude: ["**", "!**/*.html"] },
  { exclude: ["src"] },
  { exclude: [".", "*.md"] },
  { include: ["src", "docs"], exclude: ["**/*.o", "docs/deep/deeper"] },
  { include: ["docs"], exclude: ["**/README.md", "!docs/README.md"] },
  { follow: ["Dockerfile"] },
  { follow: ["chain"] },
  { follow: ["current/main.c", "absolute/README.md"] },
  { follow: ["docs/up/lib.c"] },
  { follow: ["docs/*/lib.c", "src/*.o"] },
  { follow: ["c*/main.c"] },
  { follow: ["circle", "dangling", "missing/file"] },
  { follow: ["."] },
  { include: ["README.md"], follow: ["chain"], exclude: ["src.old"] },
];

const { address = "", skip } = buildkitd;
const buildctl = process.env.MELANGE2_TEST_BUILDCTL ?? "";

describe.skipIf(address === "" || buildctl === "")(`what a local source asks for ${skip}`, () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "melange2-selection-"));
    const at = (path: string) => {
      mkdirSync(dirname(join(directory, "tree", path)), { recursive: true });
      return join(directory, "tree", path);
    };
    for (const path of files) writeFileSync(at(path), path);
    for (const [path, target] of Object.entries(links)) symlinkSync(target, at(path));
    for (const [path, target] of Object.entries(hardlinks)) linkSync(at(target), at(path));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  /** By this client and by buildctl, one after another. */
  async function expectTheSame(questions: readonly Case[]): Promise<void> {
    await using client = await connect(address);
    const tree = join(directory, "tree");
    const serve = { trees: { root: directoryTree(tree) } };
    for (const question of questions) {
      const scratch = mkdtempSync(join(directory, "sent-"));
      const [ours, theirs] = [join(scratch, "ours"), join(scratch, "theirs")];
      await client.solve(graphOf(question), { serve, exports: [{ type: "local", directory: ours }] });
      const argv = ["--addr", address, "build", "--local", `root=${tree}`, "--output", `type=local,dest=${theirs}`];
      const called = promisify(execFile)(buildctl, argv);
      called.child.stdin?.end(graphOf(question));
      await called;
      expect(listing(ours), JSON.stringify(question)).toEqual(listing(theirs));
    }
  }

  it("is what buildctl sends of the same directory", { timeout: 120_000 }, () => expectTheSame(cases));

  it("is that whatever is asked for", { timeout: 300_000 }, ({ skip }) => {
    skip(process.env.MELANGE2_TEST_FULL !== "1", "only in full runs: npm run test:full");
    return expectTheSame(Array.from({ length: 150 }, anyCase));
  });
});

/** Never the same source twice: a daemon would know it. */
function graphOf({ include, exclude, follow }: Case): Uint8Array {
  const list = (name: string, values: readonly string[] | undefined) =>
    values === undefined ? {} : { [name]: JSON.stringify(values) };
  const attributes = {
    "local.unique": nonce(),
    ...list("local.includepattern", include),
    ...list("local.excludepatterns", exclude),
    ...list("local.followpaths", follow),
  };
  return define(copyOf(source("local://root", attributes)));
}

const names =
  "src docs lib deep deeper README.md main.c again linked up chain current absolute node_modules x+y.z . a * ** *.c **.c ?rc c* [sd]*".split(
    " ",
  );
const below = (limit: number) => Math.floor(Math.random() * limit);
const several = <T>(one: () => T): T[] => Array.from({ length: 1 + below(3) }, one);

function anyCase(): Case {
  // Of `a/*/**` alone Docker sends nothing, since it takes that for `a` where it looks for what to enter.
  const path = () =>
    several(() => names[below(names.length)])
      .join("/")
      .replaceAll(/(?<!\*)\*\/\*\*/g, "**") + (below(8) === 0 ? "/" : "");
  const pattern = () => (below(4) === 0 ? "!" : "") + path();
  return {
    ...(below(2) === 0 ? {} : { include: several(pattern) }),
    ...(below(2) === 0 ? {} : { exclude: several(pattern) }),
    ...(below(2) === 0 ? {} : { follow: several(path) }),
  };
}

/** Paths, and of files how many names each has. */
function listing(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return `${path.slice(root.length)}${entry.isFile() ? ` ${statSync(path).nlink}` : ""}`;
    })
    .sort();
}
