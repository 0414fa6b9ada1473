import { describe, expect, onTestFinished, test } from "vitest";
import { type MemoryRegistryOptions, startMemoryRegistry } from "./memory-registry.ts";
import { sha256 } from "./store.ts";

const user = { username: "tester", password: "secret-of-tester" };
const blob = Buffer.from("0123456789");
const digest = sha256(blob);

async function start(options?: MemoryRegistryOptions) {
  const registry = await startMemoryRegistry(options);
  onTestFinished(() => registry[Symbol.asyncDispose]());
  const call = (method: string, path: string, more: RequestInit = {}) =>
    fetch(new URL(path, registry.origin), { method, redirect: "manual", ...more });
  const upload = async (name: string) => {
    const { headers } = await call("POST", `/v2/${name}/blobs/uploads/`);
    return call("PUT", `${headers.get("location")}?digest=${digest}`, { body: blob });
  };
  return { registry, call, upload };
}

test("keeps a blob under its digest only, and counts the bytes", async () => {
  const { registry, call, upload } = await start();
  expect((await upload("a/b")).status).toBe(201);
  expect(registry.repository("a/b").blobs.get(digest)).toEqual(blob);
  const { headers } = await call("POST", "/v2/a/b/blobs/uploads/");
  const wrong = await call("PUT", `${headers.get("location")}?digest=${sha256(Buffer.from("else"))}`, { body: blob });
  expect(wrong.status).toBe(400);
  expect(registry.bytesReceived).toBe(2 * blob.length);
  expect(await (await call("GET", `/v2/a/b/blobs/${digest}`)).text()).toBe("0123456789");
  expect(registry.bytesSent).toBeGreaterThanOrEqual(blob.length);
});

test.for([
  ["bytes=2-4", 206, "234", "bytes 2-4/10"],
  ["bytes=7-", 206, "789", "bytes 7-9/10"],
  ["bytes=-3", 206, "789", "bytes 7-9/10"],
  ["bytes=8-99", 206, "89", "bytes 8-9/10"],
  ["bytes=10-", 416, undefined, "bytes */10"],
] as const)("the range %s", async ([range, status, text, contentRange]) => {
  const { call, upload } = await start();
  await upload("a");
  const answer = await call("GET", `/v2/a/blobs/${digest}`, { headers: { range } });
  expect([answer.status, answer.headers.get("content-range")]).toEqual([status, contentRange]);
  const body = await answer.text();
  if (text !== undefined) expect(body).toBe(text);
});

test("takes no manifest whose blobs it lacks", async () => {
  const { registry, call, upload } = await start();
  const manifest = JSON.stringify({ schemaVersion: 2, config: { digest }, layers: [] });
  const put = () => call("PUT", "/v2/a/manifests/latest", { body: manifest });
  expect((await put()).status).toBe(404);
  await upload("a");
  expect((await put()).status).toBe(201);
  expect(registry.repository("a").tags.get("latest")).toBe(sha256(Buffer.from(manifest)));
});

test("mounts between repositories, but only what the user may read", async () => {
  const { call, upload } = await start();
  await upload("a");
  expect((await call("POST", `/v2/b/blobs/uploads/?mount=${digest}&from=a`)).status).toBe(201);
  expect((await call("POST", `/v2/c/blobs/uploads/?mount=${digest}&from=empty`)).status).toBe(202);
});

describe("access", () => {
  const authorization = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString("base64")}`;

  test("basic: for the user, and nobody else", async () => {
    const { call } = await start({ access: { scheme: "basic", ...user } });
    const refused = await call("GET", "/v2/");
    expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, 'Basic realm="memory-registry"']);
    expect((await call("GET", "/v2/", { headers: { authorization } })).status).toBe(200);
  });

  test("bearer: a token is good for what it was asked for, until it expires", async () => {
    const { registry, call } = await start({ access: { scheme: "bearer", ...user } });
    const answer = await call("GET", "/token?scope=repository:a:pull", { headers: { authorization } });
    const { token } = (await answer.json()) as { token: string };
    const bearer = { headers: { authorization: `Bearer ${token}` } };
    expect((await call("GET", "/v2/a/manifests/x", bearer)).status).toBe(404);
    expect((await call("GET", "/v2/b/manifests/x", bearer)).status).toBe(401);
    expect((await call("POST", "/v2/a/blobs/uploads/", bearer)).status).toBe(401);
    registry.expireTokens();
    expect((await call("GET", "/v2/a/manifests/x", bearer)).status).toBe(401);
    const wrong = { authorization: "Basic eDp5" };
    expect((await call("GET", "/token", { headers: wrong })).status).toBe(401);
  });
});

describe("misbehaviour", () => {
  test("happens to the requests it is for, as often as it was told", async () => {
    const { registry, call } = await start();
    registry.misbehave({ method: "GET", path: "/v2/", after: 1, times: 2, answer: { status: 500 } });
    const statuses = [];
    for (let count = 0; count < 5; count += 1) statuses.push((await call("GET", "/v2/")).status);
    expect(statuses).toEqual([200, 500, 500, 200, 200]);
  });

  test("lies about a size, and cuts what it sends", async () => {
    const { registry, call, upload } = await start();
    await upload("a");
    const path = `/v2/a/blobs/${digest}`;
    registry.misbehave({ method: "GET", change: (reply) => ({ ...reply, headers: { "content-length": "99" } }) });
    await expect(call("GET", path).then((answer) => answer.text())).rejects.toThrow();
    registry.misbehave({ method: "GET", cutAnswer: 4 });
    await expect(call("GET", path).then((answer) => answer.text())).rejects.toThrow();
    expect(await (await call("GET", path)).text()).toBe("0123456789");
  });

  test("cuts what it is sent, and keeps nothing of it", async () => {
    const { registry, call, upload } = await start();
    registry.misbehave({ method: "PUT", cutRequest: 4 });
    await expect(upload("a")).rejects.toThrow();
    expect(registry.repository("a").blobs.size).toBe(0);
    expect((await call("GET", "/v2/")).status).toBe(200);
  });
});
