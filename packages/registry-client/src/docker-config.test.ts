import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { findCredentials } from "./docker-config.ts";
import { isRegistryError } from "./error.ts";

const basic = (username: string, password: string) => Buffer.from(`${username}:${password}`).toString("base64");
const target = { registry: "registry.example.com", repository: "team/debug" };
const { signal } = new AbortController();
let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "melange2-credentials-"));
});
afterEach(async () => {
  await rm(home, { recursive: true });
});

async function write(path: string, content: unknown): Promise<string> {
  const full = join(home, path);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, typeof content === "string" ? content : JSON.stringify(content));
  return full;
}

/** A credential helper that writes what it was asked, prints `output` and ends with `status`. */
async function helper(name: string, output: string, status = 0): Promise<string> {
  const path = await write(
    `bin/docker-credential-${name}`,
    `#!/bin/sh\ncat > "$HOME/asked"\ncat "$HOME/output"\nexit ${status}\n`,
  );
  await chmod(path, 0o755);
  return write("output", output);
}

const env = (more: Record<string, string> = {}) => ({
  HOME: home,
  PATH: `${join(home, "bin")}:${process.env.PATH}`,
  ...more,
});
const find = (more?: Record<string, string>, reference = target) =>
  findCredentials(reference, { env: env(more), signal });

describe("files", () => {
  test("no file, no credentials", async () => {
    await expect(find()).resolves.toBeUndefined();
    await expect(findCredentials(target, { env: {}, signal })).resolves.toBeUndefined();
  });

  test("docker's config.json, at home or where DOCKER_CONFIG says", async () => {
    await write(".docker/config.json", { auths: { "registry.example.com": { auth: basic("at-home", "pa:ss") } } });
    await write("elsewhere/config.json", { auths: { "registry.example.com": { auth: basic("elsewhere", "x") } } });
    await expect(find()).resolves.toEqual({ username: "at-home", password: "pa:ss" });
    await expect(find({ DOCKER_CONFIG: join(home, "elsewhere") })).resolves.toMatchObject({ username: "elsewhere" });
  });

  test("podman's auth.json after it; the first that knows the registry counts", async () => {
    await write(".docker/config.json", { auths: { "other.example": { auth: basic("other", "x") } } });
    await write("run/containers/auth.json", { auths: { "registry.example.com": { auth: basic("podman", "x") } } });
    await write(".config/containers/auth.json", { auths: { "registry.example.com": { auth: basic("config", "x") } } });
    await expect(find({ XDG_RUNTIME_DIR: join(home, "run") })).resolves.toMatchObject({ username: "podman" });
    await expect(find()).resolves.toMatchObject({ username: "config" });
  });

  test("REGISTRY_AUTH_FILE alone, and it must be there", async () => {
    await write(".docker/config.json", { auths: { "registry.example.com": { auth: basic("docker", "x") } } });
    const path = await write("auth.json", { auths: {} });
    await expect(find({ REGISTRY_AUTH_FILE: path })).resolves.toBeUndefined();
    await expect(find({ REGISTRY_AUTH_FILE: join(home, "missing") })).rejects.toMatchObject({ code: "credentials" });
  });
});

describe("entries", () => {
  const found = async (auths: object, reference = target) => {
    await write(".docker/config.json", { auths });
    return find({}, reference);
  };

  test.for(["https://registry.example.com", "https://registry.example.com/v1/", "http://registry.example.com/v2/"])(
    "by the URL %s",
    async (key) => {
      await expect(found({ [key]: { auth: basic("u", "p") } })).resolves.toEqual({ username: "u", password: "p" });
    },
  );

  test("of the most specific namespace", async () => {
    const auths = {
      "registry.example.com": { auth: basic("host", "p") },
      "registry.example.com/team": { auth: basic("team", "p") },
    };
    await expect(found(auths)).resolves.toMatchObject({ username: "team" });
    await expect(found(auths, { ...target, repository: "teams/debug" })).resolves.toMatchObject({ username: "host" });
  });

  test.for(["docker.io", "https://index.docker.io/v1/", "index.docker.io"])("of Docker Hub, as %s", async (key) => {
    const hub = { registry: "docker.io", repository: "library/alpine" };
    await expect(found({ [key]: { auth: basic("hub", "p") } }, hub)).resolves.toMatchObject({ username: "hub" });
  });

  test("are never another registry's", async () => {
    const auths = Object.fromEntries(
      [
        "registry.example.com.evil.example",
        "https://evil.example/registry.example.com",
        "example.com",
        "registry.example.com:5000",
      ].map((key) => [key, { auth: basic("wrong", "p") }]),
    );
    await expect(found(auths)).resolves.toBeUndefined();
  });

  test("with an identity token, or with user and password in the clear", async () => {
    await expect(
      found({ "registry.example.com": { auth: basic("00000000", ""), identitytoken: "t" } }),
    ).resolves.toEqual({ identityToken: "t" });
    await expect(found({ "registry.example.com": { username: "u", password: "p" } })).resolves.toEqual({
      username: "u",
      password: "p",
    });
  });

  test("that are empty count as none", async () => {
    await expect(found({ "registry.example.com": {} })).resolves.toBeUndefined();
  });
});

describe("files that cannot be used are named, and their contents are not", () => {
  test.for([
    '{"auths": {"registry.example.com": {"auth": "hunter22"}}',
    '["hunter22"]',
    '{"auths": ["hunter22"]}',
    '{"auths": {"registry.example.com": "hunter22"}}',
    '{"auths": {"registry.example.com": {"auth": "aHVudGVyMjI="}}}',
    '{"auths": {"registry.example.com": {"auth": ["hunter22"]}}}',
    '{"credsStore": ["hunter22"]}',
    '{"credHelpers": {"registry.example.com": 7, "x": "hunter22"}}',
  ])("%s", async (text) => {
    const path = await write(".docker/config.json", text);
    const error = await find().catch((caught: unknown) => caught);
    expect(isRegistryError(error) && error.code).toBe("credentials");
    expect(String(error)).toContain(path);
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("hunter22");
  });
});

describe("credential helpers", () => {
  test("one for this registry goes before the store for all, which goes before the file", async () => {
    await write(".docker/config.json", {
      auths: { "registry.example.com": { auth: basic("file", "p") } },
      credsStore: "none",
      credHelpers: { "registry.example.com": "mine" },
    });
    await helper("mine", '{"ServerURL":"x","Username":"helper","Secret":"s"}');
    await expect(find()).resolves.toEqual({ username: "helper", password: "s" });
    await expect(readFile(join(home, "asked"), "utf8")).resolves.toBe("registry.example.com");
  });

  test("a store that has none leaves it to the file", async () => {
    await write(".docker/config.json", {
      auths: { "registry.example.com": { auth: basic("file", "p") } },
      credsStore: "store",
    });
    await helper("store", "credentials not found in native keychain\n", 1);
    await expect(find()).resolves.toMatchObject({ username: "file" });
  });

  test("hands out an identity token under a user of its own; Docker Hub goes by its old URL", async () => {
    await write(".docker/config.json", { credsStore: "store" });
    await helper("store", '{"Username":"<token>","Secret":"t"}');
    await expect(find({}, { registry: "docker.io", repository: "a/b" })).resolves.toEqual({ identityToken: "t" });
    await expect(readFile(join(home, "asked"), "utf8")).resolves.toBe("https://index.docker.io/v1/");
  });

  test.for(["../evil", "a/b", "UPPER", "a b", "$(id)", "desktop.exe", "-;id"])(
    "the name %j is refused",
    async (name) => {
      await write(".docker/config.json", { credsStore: name });
      await expect(find()).rejects.toMatchObject({
        code: "credentials",
        message: expect.stringContaining("not allowed"),
      });
    },
  );

  test("one that is not there is named", async () => {
    await write(".docker/config.json", { credsStore: "nowhere-to-be-found" });
    await expect(find()).rejects.toMatchObject({
      code: "credentials",
      message: expect.stringContaining("docker-credential-nowhere-to-be-found"),
    });
  });

  test.for([
    ["fails", "the secret is hunter22", 1],
    ["talks nonsense", "hunter22", 0],
    ["answers without a secret", '{"Username":"hunter22"}', 0],
    ["answers null", "null", 0],
    ["never stops talking", "hunter22".repeat(100_000), 0],
  ] as const)("one that %s is named, and what it said is not repeated", async ([, output, status]) => {
    await write(".docker/config.json", { credsStore: "store" });
    await helper("store", output, status);
    const error = await find().catch((caught: unknown) => caught);
    expect(isRegistryError(error) && error.code).toBe("credentials");
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("hunter22");
  });

  test("one that hangs in a child ends with the signal, and so does the child", async () => {
    await write(".docker/config.json", { credsStore: "store" });
    const path = await write("bin/docker-credential-store", '#!/bin/sh\nsleep 600 &\necho $! > "$HOME/child"\nwait\n');
    await chmod(path, 0o755);
    const abort = new AbortController();
    const reason = new Error("interrupted");
    const asking = findCredentials(target, { env: env(), signal: abort.signal });
    asking.catch(() => {});
    const child = await vi.waitFor(async () => {
      const pid = Number.parseInt(await readFile(join(home, "child"), "utf8"), 10);
      expect(pid).toBeGreaterThan(1);
      return pid;
    });
    abort.abort(reason);
    await expect(asking).rejects.toBe(reason);
    await vi.waitFor(async () => {
      const state = await readFile(`/proc/${child}/stat`, "utf8").catch(() => "0 (gone) Z");
      expect(state).toMatch(/\) Z/);
    });
  });

  test("one that hangs ends with the signal", async () => {
    await write(".docker/config.json", { credsStore: "store" });
    const path = await write("bin/docker-credential-store", "#!/bin/sh\nexec sleep 60\n");
    await chmod(path, 0o755);
    const abort = new AbortController();
    const reason = new Error("interrupted");
    const asking = findCredentials(target, { env: env(), signal: abort.signal });
    setImmediate(() => abort.abort(reason));
    await expect(asking).rejects.toBe(reason);
  });
});
