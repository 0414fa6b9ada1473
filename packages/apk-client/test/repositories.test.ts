import { spawn } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { resolveEnvironment } from "@melange2/apk";
import { ownedName } from "@melange2/oci";
import { makeIndex, makePackage, testKey } from "@melange2-tooling/fixtures/apk-packages";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRepositories, type RepositoriesOptions } from "../src/index.ts";
import { type Served, serveRepository } from "./served.ts";

let folder: string;
let served: Served;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "melange2-apk-client-"));
  served = await serveRepository();
  await writeFile(join(folder, served.key.name), served.key.publicPem);
});
afterEach(async () => {
  await served[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const options = (more: Partial<RepositoriesOptions> = {}): RepositoriesOptions => ({
  repositories: [served.url],
  keyring: [served.key.name],
  ignoreSignatures: false,
  arch: "x86_64",
  directory: folder,
  cacheDirectory: join(folder, "cache"),
  offline: false,
  variables: {},
  signal: new AbortController().signal,
  http: { firstPause: 1, idleTimeout: 5000 },
  ...more,
});

/** Opens, resolves and fetches, as a build does. */
async function fetched(world: readonly string[] = ["b"], more: Partial<RepositoriesOptions> = {}) {
  using repositories = await openRepositories(options(more));
  const { packages } = resolveEnvironment(repositories.universe, world);
  const told: number[] = [];
  const files = await repositories.fetch(
    packages.map(({ record, repository }) => ({
      name: record.name,
      version: record.version,
      repositoryUrl: repository.url,
      checksum: record.checksum,
      size: record.size,
    })),
    (done, total) => told.push(done / total),
  );
  return { files, told, warnings: repositories.warnings };
}

const index = "x86_64/APKINDEX.tar.gz";

test("packages are fetched once, verified, and told in bytes", async () => {
  const { files, told } = await fetched();
  const [a, b] = served.packages;
  expect(await Promise.all(files.map(({ path }) => readFile(path)))).toEqual([a?.bytes, b?.bytes]);
  expect(told.at(-1)).toBe(1);
  expect(told).toEqual([...told].sort((x, y) => x - y));
  await fetched();
  expect([served.count(".apk"), served.count(index)]).toEqual([2, 2]);
  expect(served.asked.at(-1)?.headers["if-none-match"]).toBeDefined();
  expect((await readdir(join(folder, "cache/packages"))).filter((name) => !/^[0-9a-f]{40}\.apk$/.test(name))).toEqual(
    [],
  );
});

test("an index that has changed is taken anew", async () => {
  await fetched();
  const newer = makePackage({ name: "b", version: "2.0-r0", files: [] });
  served.files.set(index, makeIndex({ packages: [...served.packages, newer], key: served.key }));
  served.files.set(`x86_64/${newer.file}`, newer.bytes);
  expect((await fetched(["b"])).files.at(-1)?.what).toContain("b-2.0-r0");
});

test("offline, everything comes from the cache, and what it lacks is named", async () => {
  await expect(fetched(["b"], { offline: true })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("not in the cache"),
  });
  await fetched(["a"]);
  const before = served.asked.length;
  await fetched(["a"], { offline: true });
  await expect(fetched(["b"], { offline: true })).rejects.toMatchObject({
    message: expect.stringContaining("b-1.0-r0"),
  });
  expect(served.asked).toHaveLength(before);
});

test("offline, a key that has an address comes from the cache, too", async () => {
  served.files.set("keys/test.rsa.pub", Buffer.from(served.key.publicPem));
  const keyring = [`${served.url}/keys/test.rsa.pub`];
  await expect(fetched(["a"], { keyring, offline: true })).rejects.toMatchObject({
    code: "unavailable",
    message: `the key ${keyring[0]} is not in the cache, and --offline fetches nothing`,
  });
  await fetched(["a"], { keyring });
  const before = served.asked.length;
  await fetched(["a"], { keyring, offline: true });
  expect(served.asked).toHaveLength(before);
});

describe("folders", () => {
  test.each(["./os", "os", "file:os"])("%s is a repository", async (path) => {
    await mkdir(join(folder, "os/x86_64"), { recursive: true });
    for (const [name, content] of served.files) await writeFile(join(folder, "os", name), content);
    const { files } = await fetched(["b"], { repositories: [path] });
    expect(files.map((file) => file.path)).toEqual(
      ["a", "b"].map((name) => join(folder, `os/x86_64/${name}-1.0-r0.apk`)),
    );
  });

  test("without an index are passed over with a word", async () => {
    const { warnings } = await fetched(["b"], { repositories: ["./nothing", served.url] });
    expect(warnings).toEqual([expect.stringMatching(/nothing has no index for x86_64/)]);
  });
});

test("a tagged repository is taken from where its tag is asked for", async () => {
  await expect(fetched(["b"], { repositories: [`@edge ${served.url}`] })).rejects.toMatchObject({
    code: "unresolvable",
  });
  expect((await fetched(["a@edge"], { repositories: [`@edge ${served.url}`] })).files).toHaveLength(1);
});

describe("a server that fails is asked again", () => {
  test.each([429, 500, 503])("after %i, as long as it asks for", async (status) => {
    let left = 2;
    served.misbehave = (request, response) => {
      if (!request.url?.endsWith(".apk") || left-- <= 0) return false;
      response.writeHead(status, { "retry-after": "0" }).end();
      return true;
    };
    expect((await fetched()).files).toHaveLength(2);
  });

  test("and a broken download goes on where it ended", async () => {
    let cuts = 3;
    served.misbehave = (request, response) => {
      const content = served.files.get("x86_64/a-1.0-r0.apk") ?? Buffer.alloc(0);
      if (!request.url?.includes("/a-1.0") || request.headers.range || cuts-- <= 0) return false;
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, content.length - 20_000), () => setTimeout(() => response.destroy(), 50));
      return true;
    };
    expect((await fetched()).files).toHaveLength(2);
    const ranges = served.asked.flatMap(({ line, headers }) => (line.includes("/a-1.0") ? [headers.range] : []));
    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=\d+-$/);
  });

  /** Answers with a package's first half and ends, as a server does that knows neither lengths nor ranges. */
  const half = (response: ServerResponse) => {
    const content = served.files.get("x86_64/a-1.0-r0.apk") ?? Buffer.alloc(0);
    response.socket?.end(
      Buffer.concat([
        Buffer.from("HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n"),
        content.subarray(0, content.length / 2),
      ]),
    );
    return true;
  };

  test("and a download that ends early, without a word about its length, goes on", async () => {
    let left = 1;
    served.misbehave = ({ url }, response) => Boolean(url?.includes("/a-1.0")) && left-- > 0 && half(response);
    expect((await fetched()).files).toHaveLength(2);
    expect(served.asked.filter(({ line }) => line.includes("/a-1.0")).at(-1)?.headers.range).toMatch(/^bytes=\d+-$/);
  });

  test("but not for ever, where each download ends early and begins anew", async () => {
    served.misbehave = ({ url }, response) => Boolean(url?.includes("/a-1.0")) && half(response);
    await expect(fetched(["a"])).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/a-1\.0-r0 of .* ended after \d+ of \d+ bytes \(\d attempts\)/),
    });
    expect(served.count(".apk")).toBeLessThan(8);
  });

  test("until the attempts are used up, and then it is named", async () => {
    served.misbehave = (_, response) => Boolean(response.writeHead(503).end());
    await expect(fetched()).rejects.toMatchObject({
      code: "unavailable",
      message: `${served.url}/${index} answers 503 (4 attempts)`,
    });
    expect(served.count(index)).toBe(4);
  });
});

describe("an error names the repository and what was tried where", () => {
  const refused = (what: Partial<RepositoriesOptions> = {}) => fetched(["b"], what).catch((error: unknown) => error);

  test("nobody listens", async () => {
    expect(await refused({ repositories: ["http://127.0.0.1:1/os"], http: { firstPause: 1 } })).toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/127\.0\.0\.1:1\/os\/x86_64\/APKINDEX.* nobody listens there \(4 attempts\)/),
    });
  });

  test("the proxy does not answer, and neither does what is behind it", async () => {
    const variables = { HTTP_PROXY: "http://127.0.0.1:1" };
    const http = { attempts: 1 };
    expect(await refused({ repositories: ["http://packages.example.com/os"], variables, http })).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("packages.example.com/os"),
      hint: expect.stringContaining("the proxy that HTTP_PROXY names"),
    });
  });

  test.each(["HTTP_PROXY", "https_proxy"])("%s is not a proxy's address, and its text is not told", async (name) => {
    const variables = { [name]: "ftp://me:hunter2@proxy.example.com" };
    const error = await refused({ variables });
    expect(error).toMatchObject({ code: "repository", message: expect.stringMatching(/_PROXY is not the address/) });
    expect(String(error)).not.toContain("hunter2");
  });

  test.each(["http://", "https://keys.example.com/", "https://keys.example.com"])(
    "the key %s has no name",
    async (key) => {
      expect(await refused({ keyring: [key] })).toMatchObject({ code: "key", message: expect.stringContaining(key) });
    },
  );

  test("the cache cannot be made, or a file is in the place of its packages", async () => {
    await writeFile(join(folder, "file"), "");
    expect(await refused({ cacheDirectory: join(folder, "file") })).toMatchObject({
      code: "cache",
      message: expect.stringMatching(
        /the cache of packages cannot be used: .*file.*: a (?:part of its path is no folder|file is in its place)/,
      ),
    });
    await fetched(["a"]);
    await rm(join(folder, "cache/packages"), { recursive: true });
    await writeFile(join(folder, "cache/packages"), "");
    expect(await refused()).toMatchObject({ code: "cache", hint: expect.stringContaining("another one") });
  });

  test("there is no index", async () => {
    served.files.delete(index);
    expect(await refused()).toMatchObject({ message: expect.stringContaining("answers 404") });
  });

  test("the index is truncated", async () => {
    const whole = served.files.get(index) ?? Buffer.alloc(0);
    served.files.set(index, whole.subarray(0, whole.length - 30));
    expect(await refused()).toMatchObject({ message: expect.stringContaining(served.url) });
  });

  test("a package is gone", async () => {
    served.files.delete("x86_64/a-1.0-r0.apk");
    expect(await refused()).toMatchObject({
      code: "unavailable",
      message: `a-1.0-r0 of ${served.url} cannot be fetched: the repository answers 404, though the index names it`,
    });
  });

  test("a package was replaced after the index was read", async () => {
    const other = makePackage({
      name: "a",
      files: [{ name: "usr/a", content: "c".repeat(100_000) }],
      lines: ["url = x"],
    });
    served.files.set("x86_64/a-1.0-r0.apk", other.bytes);
    expect(await refused()).toMatchObject({
      code: expect.stringMatching(/package|unavailable/),
      message: expect.stringMatching(/a-1\.0-r0 of .*(?:not the file that the index names|bytes)/),
    });
    const left = await readdir(join(folder, "cache/packages"));
    expect(left.filter((name) => name.startsWith(served.packages[0]?.checksum ?? ""))).toEqual([]);
  });

  test("it has stopped sending", async () => {
    served.misbehave = (_, response) => Boolean(response.writeHead(200, { "content-length": 1000 }).write("x"));
    expect(await refused({ http: { attempts: 1, idleTimeout: 200 } })).toMatchObject({
      message: expect.stringMatching(/it has stopped sending|does not answer/),
    });
  });
});

describe("signatures", () => {
  test("by an unknown key are refused, and taken where they are to be ignored", async () => {
    served.files.set(index, makeIndex({ packages: served.packages, key: testKey("stranger.rsa.pub") }));
    await expect(fetched()).rejects.toMatchObject({
      code: "signature",
      message: expect.stringContaining("stranger.rsa.pub"),
    });
    expect((await fetched(["b"], { ignoreSignatures: true })).files).toHaveLength(2);
  });

  test("by a key that the repository publishes are good, from this machine or over https", async () => {
    const own = testKey("published.rsa.pub");
    served.files.set(index, makeIndex({ packages: served.packages, key: own }));
    const jwk = { ...createPublicKey(own.publicPem).export({ format: "jwk" }), kid: "published" };
    served.files.set("keys", Buffer.from(JSON.stringify({ keys: [{ kty: "EC", kid: "x" }, jwk] })));
    served.files.set("apk-configuration", Buffer.from(JSON.stringify({ jwks_uri: `${served.url}/keys` })));
    for (const offline of [false, true]) {
      using repositories = await openRepositories(options({ keyring: [], offline }));
      expect(repositories.keys.map(({ name }) => name)).toEqual(["published.rsa.pub"]);
    }
  });

  test("by a key that Alpine publishes for the release are good, a withdrawn one is not", async () => {
    const own = testKey("alpine@example.com-1.rsa.pub");
    const files = [...served.files].map(([name, content]) => [`alpine/v3.20/main/${name}`, content] as const);
    for (const [name, content] of files) served.files.set(name, content);
    const signed = makeIndex({ packages: served.packages, key: own });
    served.files.set(`alpine/v3.20/main/${index}`, signed);
    served.files.set(`keys/${own.name}`, Buffer.from(own.publicPem));
    const list = (deprecated_since?: string) => {
      const keys = { x86_64: [{ url: `${served.url}/keys/${own.name}`, deprecated_since }] };
      const text = JSON.stringify({ latest_stable: "v3.20", release_branches: [{ rel_branch: "v3.20", keys }] });
      served.files.set("releases.json", Buffer.from(text));
    };
    const alpine = { repositories: [`${served.url}/alpine/v3.20/main`], alpineReleases: `${served.url}/releases.json` };
    list("2020-01-01");
    await expect(fetched(["a"], { ...alpine, keyring: [] })).rejects.toMatchObject({ code: "signature" });
    list();
    for (const offline of [false, true]) {
      using repositories = await openRepositories(options({ ...alpine, keyring: [], offline }));
      expect(repositories.keys.map(({ name }) => name)).toEqual([own.name]);
    }
  });

  test("of an index that is older than the one before do not help it", async () => {
    await fetched();
    const old = served.packages.map(({ record, ...rest }) => ({
      ...rest,
      record: record.replace("t:1700000000", "t:1600000000"),
    }));
    served.files.set(index, makeIndex({ packages: old, key: served.key }));
    await expect(fetched()).rejects.toMatchObject({
      code: "index",
      message: expect.stringContaining("older than it was"),
    });
  });
});

test("HTTP_AUTH goes to its host alone, a port included", async () => {
  const host = new URL(served.url).host;
  await fetched(["a"], { variables: { HTTP_AUTH: `basic:${host}:me:pass:word,basic:other.example:x:y` } });
  const sent = new Set(served.asked.map(({ headers }) => headers.authorization));
  expect(sent).toEqual(new Set([`Basic ${Buffer.from("me:pass:word").toString("base64")}`]));
  await expect(fetched(["a"], { variables: { HTTP_AUTH: "me:hunter2" } })).rejects.toSatisfy(
    (error: Error) => !error.message.includes("hunter2") && error.message.includes("HTTP_AUTH"),
  );
});

test("requests go through a proxy, but for hosts that NO_PROXY names and for this machine", async () => {
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? "");
    const path = new URL(request.url ?? "").pathname.replace(/^\/os\//, "");
    const content = served.files.get(decodeURIComponent(path));
    response.writeHead(content ? 200 : 404).end(content);
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const variables = {
    http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    NO_PROXY: "direct.invalid",
  };
  await fetched(["a"], { variables, repositories: ["http://packages.example.com/os"] });
  expect(asked).toEqual([
    "http://packages.example.com/os/x86_64/APKINDEX.tar.gz",
    "http://packages.example.com/os/x86_64/a-1.0-r0.apk",
  ]);
  await fetched(["a"], { variables });
  const direct = { variables, repositories: ["http://direct.invalid/os"], http: { attempts: 1 } };
  await expect(fetched(["a"], direct)).rejects.toMatchObject({ code: "unavailable" });
  expect(asked).toHaveLength(2);
  proxy.closeAllConnections();
  await once(proxy.close(), "close");
});

test("two processes on one cold cache fetch each package once", async () => {
  const script = fileURLToPath(new URL("fetch-in-child.ts", import.meta.url));
  const children = [1, 2].map(() =>
    spawn(
      process.execPath,
      ["--conditions=melange2-source", script, JSON.stringify({ url: served.url, folder, key: served.key.name })],
      {
        stdio: ["ignore", "inherit", "inherit"],
      },
    ),
  );
  const codes = await Promise.all(children.map(async (child) => (await once(child, "exit"))[0]));
  expect(codes).toEqual([0, 0]);
  expect(served.count(".apk")).toBe(2);
});

test("a claim of a process that was killed keeps nobody waiting", async () => {
  const [a] = served.packages;
  await mkdir(join(folder, "cache/packages"), { recursive: true });
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  const owner = ownedName("claim").replace(`-${process.pid}-`, `-${child.pid}-`);
  await writeFile(join(folder, "cache/packages", `${a?.checksum}.apk.claim`), owner);
  expect((await fetched(["a"])).files).toHaveLength(1);
});

test("a download whose process was killed goes on where it ended", async () => {
  const [a] = served.packages;
  await mkdir(join(folder, "cache/packages"), { recursive: true });
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  const left = ownedName(`${a?.checksum}.apk.part`).replace(`-${process.pid}-`, `-${child.pid}-`);
  await writeFile(join(folder, "cache/packages", left), a?.bytes.subarray(0, 50_000) ?? "");
  await fetched(["a"]);
  expect(served.asked.at(-1)?.headers.range).toBe("bytes=50000-");
  expect(await readdir(join(folder, "cache/packages"))).toEqual([`${a?.checksum}.apk`]);
});

test("what was left of another file is not taken for a beginning", async () => {
  const [a] = served.packages;
  await mkdir(join(folder, "cache/packages"), { recursive: true });
  await writeFile(join(folder, "cache/packages", `${a?.checksum}.apk.part`), Buffer.alloc(50_000, "x"));
  const { files } = await fetched(["a"]);
  expect(await readFile(files[0]?.path ?? "")).toEqual(a?.bytes);
});

test("a package in the cache that is not whole is fetched anew", async () => {
  const [file] = (await fetched(["a"])).files;
  await writeFile(file?.path ?? "", "damaged");
  await fetched(["a"]);
  expect(await readFile(file?.path ?? "")).toEqual(served.packages[0]?.bytes);
});

test("an index in the cache that is not the one that was kept is fetched anew", async () => {
  await fetched();
  const indexes = join(folder, "cache/indexes");
  const [file = ""] = (await readdir(indexes)).filter((name) => name.endsWith(".tar.gz"));
  await writeFile(join(indexes, file), "damaged");
  await fetched();
  expect(served.asked.at(-1)?.headers["if-none-match"]).toBeUndefined();
});

test("an abort ends a download at once, and leaves what came for the next", async () => {
  const abort = new AbortController();
  served.misbehave = (request, response) => {
    if (!request.url?.includes("/a-1.0")) return false;
    response.writeHead(200, { "content-length": 1_000_000 }).write(Buffer.alloc(10));
    setImmediate(() => abort.abort(new Error("stopped")));
    return true;
  };
  await expect(fetched(["a"], { signal: abort.signal })).rejects.toThrow("stopped");
});
