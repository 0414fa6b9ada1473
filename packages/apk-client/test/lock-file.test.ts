import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveEnvironment } from "@melange2/apk";
import { makeIndex, makePackage } from "@melange2-tooling/fixtures/apk-packages";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  fetchLocked,
  type LockedRequest,
  type LockFile,
  lockedPackages,
  lockFile,
  openRepositories,
  parseLockFile,
  type RepositoriesOptions,
} from "../src/index.ts";
import { type Served, serveRepository } from "./served.ts";

let folder: string;
let served: Served;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "melange2-apk-lock-"));
  served = await serveRepository();
  await writeFile(join(folder, served.key.name), served.key.publicPem);
});
afterEach(async () => {
  await served[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const withCredentials = () => served.url.replace("://", "://me:hunter2@");
const options = (repository: string, cache: string): RepositoriesOptions => ({
  repositories: [repository],
  keyring: [served.key.name],
  ignoreSignatures: false,
  arch: "x86_64",
  directory: folder,
  cacheDirectory: join(folder, cache),
  offline: false,
  variables: {},
  signal: new AbortController().signal,
  http: { firstPause: 1 },
});
const request = (repository = served.url): LockedRequest => ({
  name: "build",
  arch: "x86_64",
  packages: ["b"],
  repositories: [repository],
});

/** As a build locks what it has resolved. */
async function locked(): Promise<LockFile> {
  using repositories = await openRepositories(options(served.url, "first"));
  const { packages } = resolveEnvironment(repositories.universe, ["b"]);
  const chosen = packages.map(({ record, repository: { url } }) => ({ ...record, repositoryUrl: url }));
  return lockFile(request(), chosen, repositories.keys);
}

test("what was written is read back", async () => {
  const lock = await locked();
  expect(parseLockFile(JSON.stringify(lock), "lock.json", request())).toEqual(lock);
  const [a, b] = served.packages;
  expect(lockedPackages(lock).map(({ name, checksum, size }) => [name, checksum, size])).toEqual([
    ["a", a?.checksum, a?.bytes.length],
    ["b", b?.checksum, b?.bytes.length],
  ]);
});

test("exactly these packages are fetched, whatever the index says by now, with the repository's credentials", async () => {
  const lock = await locked();
  const newer = makePackage({ name: "b", version: "2.0-r0" });
  served.files.set("x86_64/APKINDEX.tar.gz", makeIndex({ packages: [...served.packages, newer], key: served.key }));
  served.asked.length = 0;
  const files = await fetchLocked(lock, options(withCredentials(), "second"));
  expect(await Promise.all(files.map(({ path }) => readFile(path)))).toEqual(served.packages.map(({ bytes }) => bytes));
  expect(served.asked.map(({ line }) => line).sort()).toEqual(
    ["a", "b"].map((name) => `GET /os/x86_64/${name}-1.0-r0.apk`),
  );
  const basic = `Basic ${Buffer.from("me:hunter2").toString("base64")}`;
  expect(new Set(served.asked.map(({ headers }) => headers.authorization))).toEqual(new Set([basic]));
});

test("a package that was replaced since is refused", async () => {
  const lock = await locked();
  const other = makePackage({ name: "b", files: [{ name: "usr/b", content: "other" }] });
  served.files.set("x86_64/b-1.0-r0.apk", other.bytes);
  await expect(fetchLocked(lock, options(served.url, "second"))).rejects.toMatchObject({
    code: "package",
    message: expect.stringContaining("b-1.0-r0"),
  });
});

test("other credentials are no other repository", async () => {
  const text = JSON.stringify(await locked());
  expect(text).not.toContain("hunter2");
  expect(parseLockFile(text, "lock.json", request(withCredentials()))).toBeDefined();
});

test("credentials are not in what is said of a repository that lacks something", async () => {
  using repositories = await openRepositories(options(withCredentials(), "first"));
  expect(() => resolveEnvironment(repositories.universe, ["b=7"])).toThrow(served.url);
  expect(() => resolveEnvironment(repositories.universe, ["b=7"])).not.toThrow("hunter2");
});

test("a package without a checksum cannot be locked", () => {
  const one = { name: "x", version: "1", repositoryUrl: served.url, checksum: "", size: 1, origin: "" };
  expect(() => lockFile(request(), [one], [])).toThrow(/gives no checksum for x-1/);
});

describe("a lock file is refused by its name", () => {
  type Change = (lock: Record<string, never>) => unknown;
  const changed = (path: readonly (string | number)[], value: unknown): Change => {
    return (lock) => {
      const parent = path.slice(0, -1).reduce<Record<string | number, never>>((at, key) => at[key] as never, lock);
      parent[path.at(-1) as string] = value as never;
      return lock;
    };
  };

  test.each<[string, Change, RegExp]>([
    ["of no JSON", () => "{", /it is no JSON/],
    ["that is null", () => null, /no lock file of version v1/],
    ["of another version", changed(["version"], "v2"), /no lock file of version v1/],
    ["for other packages", changed(["config", "checksum"], "sha256-x"), /made for other packages/],
    ["with a checksum that is none", changed(["contents", "packages", 0, "checksum"], "Q1x"), /no lock file/],
    ["with an address of another file", changed(["contents", "packages", 0, "url"], "https://x/y.apk"), /no lock file/],
    ["without sizes", changed(["contents", "packages", 0, "size"], "1"), /no lock file/],
    ["whose key has a path", changed(["contents", "keyring", 0, "name"], "../../passwd"), /no name for a key/],
    ["whose key is none", changed(["contents", "keyring", 0, "content"], "x"), /no RSA public key/],
  ])("%s", async (_, change, message) => {
    const made = change(JSON.parse(JSON.stringify(await locked())));
    const text = typeof made === "string" ? made : JSON.stringify(made);
    expect(() => parseLockFile(text, "lock.json", request())).toThrow(message);
  });
});
