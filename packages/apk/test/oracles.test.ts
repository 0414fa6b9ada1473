import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import {
  compareVersions,
  createUniverse,
  parseConstraint,
  parseIndexText,
  parseVersion,
  publicKey,
  type RepositoryIndex,
  readIndexArchive,
  resolveEnvironment,
  satisfies,
  type Universe,
  UnresolvableError,
} from "../src/index.ts";
import { chooseAll } from "../src/resolution.ts";
import { resolve } from "../src/resolve.ts";
import { Unfulfilled } from "../src/unfulfilled.ts";
import type { Candidate } from "../src/universe.ts";
import { corpus } from "./corpus-folder.ts";

// What apko makes of versions, of every package of a real index, of worlds and of made-up universes.

const folder = corpus === undefined ? "" : join(corpus, "oracles/apk");
beforeEach(({ skip }) => skip(corpus === undefined, "there is no ../shared/corpus"));

function json<T>(name: string): T {
  const path = join(folder, name);
  const text = name.endsWith(".xz") ? execFileSync("xz", ["-dc", path], { maxBuffer: 1 << 30 }) : readFileSync(path);
  return JSON.parse(text.toString("utf8")) as T;
}

interface Outcome {
  readonly ok?: readonly (number | string)[];
  readonly error?: string;
  readonly conflicts?: readonly string[];
}

/** What apko's own rules give here, in the words of the recorded outcome. */
function outcome(universe: Universe, world: readonly string[], show: (candidate: Candidate) => string): unknown {
  try {
    const { packages, conflicts } = chooseAll(universe, world, "apko");
    return { ok: packages.map(show), conflicts: [...conflicts].sort() };
  } catch (error) {
    if (error instanceof Unfulfilled) return "error";
    throw error;
  }
}

function wanted({ ok = [], error, conflicts = [] }: Outcome, table?: readonly string[]): unknown {
  if (error !== undefined) return "error";
  return { ok: ok.map((each) => table?.[Number(each)] ?? each), conflicts: [...conflicts].sort() };
}

describe("versions", () => {
  const cases = () =>
    json<{
      readonly pairs: readonly { readonly a: string; readonly b: string; readonly cmp: number | null }[];
      readonly invalidVersions: readonly string[];
      readonly constraints: readonly {
        readonly constraint: string;
        readonly name: string;
        readonly op: string;
        readonly version: string;
        readonly pin: string;
        readonly checks: readonly { readonly v: string; readonly ok: boolean | null }[];
      }[];
    }>("version-cases.json");

  test("compare as in apko", () => {
    for (const { a, b, cmp } of cases().pairs) {
      const [x, y] = [parseVersion(a), parseVersion(b)];
      expect(x && y ? Math.sign(compareVersions(x, y)) : null, `${a} ? ${b}`).toBe(cmp);
    }
  });

  test("that are none are refused", () => {
    for (const text of cases().invalidVersions) expect(parseVersion(text), text).toBeUndefined();
  });

  test("fulfil constraints as in apko", () => {
    for (const { constraint, name, op, version, pin, checks } of cases().constraints) {
      const parsed = parseConstraint(constraint);
      expect([parsed.name, parsed.operator, parsed.version, parsed.tag], constraint).toEqual([name, op, version, pin]);
      for (const { v, ok } of checks) {
        const [actual, asked] = [parseVersion(v), parseVersion(parsed.version)];
        const fits = actual && asked ? satisfies(actual, parsed.operator, asked) : null;
        expect(parsed.version === "" ? (actual ? true : null) : fits, `${v} for ${constraint}`).toBe(ok);
      }
    }
  });
});

describe("worlds", () => {
  test("of a real index are resolved as apko resolves them, and never fewer of them", async () => {
    const recordedWorlds = json<{
      readonly table: readonly string[];
      readonly singles: Readonly<Record<string, Outcome>>;
      readonly virtuals: Readonly<Record<string, Outcome>>;
      readonly worlds: readonly (Outcome & { readonly world: readonly string[] })[];
    }>("resolver-alpine-3.17.json.xz");
    const file = readFileSync(join(folder, "../../apk/alpine-3.17/APKINDEX.tar.gz"));
    const { packages } = await readIndexArchive(file, { what: "the index", keys: "ignored" });
    const universe = createUniverse([{ url: "u", tag: "", packages }]);
    const show = ({ name, record }: Candidate) => `${name}=${record.version}`;
    const { table, singles, virtuals, worlds } = recordedWorlds;
    const all = [
      ...[...Object.entries(singles), ...Object.entries(virtuals)].map(([name, each]) => ({ ...each, world: [name] })),
      ...worlds,
    ];
    expect(all.length).toBeGreaterThan(5000);
    for (const { world, ...each } of all) {
      expect(outcome(universe, world, show), world.join(" ")).toEqual(wanted(each, table));
      if (each.error === undefined) expect(resolve(universe, world).rules).toBe("apko");
    }
  });

  test("of made-up universes are resolved as apko resolves them", () => {
    const { cases } = json<{
      readonly cases: readonly (Outcome & {
        readonly world: readonly string[];
        readonly repos: readonly { readonly uri: string; readonly tag?: string; readonly index: string }[];
      })[];
    }>("resolver-synthetic.json.xz");
    for (const { repos, world, ...each } of cases) {
      const universe = createUniverse(
        repos.map(({ uri, tag = "", index }) => ({ url: uri, tag, packages: parseIndexText(index, "the index") })),
      );
      const show = ({ repository, label }: Candidate) => `${repository.url}/${label}.apk`;
      expect(outcome(universe, world, show), world.join(" ")).toEqual(wanted(each));
    }
  });
});

describe("a small distribution", () => {
  const minidist = join(folder, "minidist");

  async function repository(line: string): Promise<RepositoryIndex> {
    const [, tag = "", path = ""] = /^(?:@(\S+) )?\.\/(.*)$/.exec(line) ?? [];
    const key = publicKey("test.rsa.pub", readFileSync(join(minidist, "test.rsa.pub"), "utf8"));
    const file = readFileSync(join(minidist, path, "x86_64/APKINDEX.tar.gz"));
    return { url: path, tag, packages: (await readIndexArchive(file, { what: path, keys: [key] })).packages };
  }

  /** A list of one of these small files: `key: [a, b]` or a line each. */
  function list(yaml: string, key: string): readonly string[] {
    const inline = new RegExp(`^  ${key}: \\[(.*)\\]$`, "m").exec(yaml)?.[1];
    if (inline !== undefined) return inline.split(",").map((each) => each.trim().replace(/^"|"$/g, ""));
    const block = new RegExp(`^  ${key}:\\n((?:    - .*\\n)+)`, "m").exec(yaml)?.[1] ?? "";
    return [...block.matchAll(/- "?([^"\n]*)"?/g)].map((match) => match[1] ?? "");
  }

  const names = existsSync(minidist) ? readdirSync(join(minidist, "env")) : [];

  test.each(names)("%s: the same packages in the same order", async (name) => {
    const yaml = readFileSync(join(minidist, "env", name), "utf8");
    const universe = createUniverse(await Promise.all(list(yaml, "repositories").map(repository)));
    const { packages, locked } = resolveEnvironment(universe, list(yaml, "packages"));
    const expected: { layers: { files: { path: string; text: string }[] }[] } = JSON.parse(
      readFileSync(join(minidist, "expected", name.replace("yaml", "json")), "utf8"),
    );
    const text = (path: string) => expected.layers.at(-1)?.files.find((each) => each.path === path)?.text ?? "";
    const installed = [...text("usr/lib/apk/db/installed").matchAll(/^P:(.*)\nV:(.*)$/gm)].map(
      ([, n, v]) => `${n}=${v}`,
    );
    expect(packages.map((each) => `${each.name}=${each.record.version}`)).toEqual(installed);
    expect(`${locked.join("\n")}\n`).toBe(text("etc/apk/world"));
  });

  test("that cannot be resolved is explained", async () => {
    const yaml = readFileSync(join(minidist, "env-odd/x05-two-layouts.yaml"), "utf8");
    const universe = createUniverse(await Promise.all(list(yaml, "repositories").map(repository)));
    expect(() => resolveEnvironment(universe, list(yaml, "packages"))).toThrow(UnresolvableError);
  });
});
