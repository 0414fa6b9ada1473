import { once } from "node:events";
import { createServer, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { startMemoryRegistry } from "@melange2/testkit";
import { program } from "@melange2-tooling/services";
import { beforeEach, expect, test } from "vitest";
import { openRepository, type Proxies, proxiesOf, pushImage, type SessionOptions } from "../src/index.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { imageOf, noiseLayer, user } from "./scene.ts";

const { signal } = new AbortController();

/** A proxy that leads every host to one address, and notes what it was asked and with which credential. `refusal`: the status of each answer. */
async function proxyTo(target: string, refusal?: number) {
  const [host = "", port = ""] = target.split(":");
  const asked: { line: string; credential: string | undefined }[] = [];
  const note = (method: string | undefined, to: string | undefined, credential: string | undefined) =>
    asked.push({ line: `${method} ${to}`, credential });
  const server = createServer((incoming, outgoing) => {
    const { method, url = "", headers } = incoming;
    note(method, url, headers["proxy-authorization"]);
    if (refusal !== undefined) return outgoing.writeHead(refusal).end();
    const { pathname, search } = new URL(url);
    const onward = request({ host, port, method, path: pathname + search, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  });
  server.on("connect", ({ method, url, headers }, socket) => {
    note(method, url, headers["proxy-authorization"]);
    if (refusal !== undefined) return socket.end(`HTTP/1.1 ${refusal} no\r\n\r\n`);
    const onward = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 connected\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    for (const each of [socket, onward]) each.on("error", () => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function push(registry: string, options: Partial<SessionOptions>) {
  const session = { signal, credentials: async () => user, attempts: 1, ...options };
  using repository = openRepository({ registry, repository: "team/debug" }, session);
  return pushImage(repository, imageOf([noiseLayer(300_000, 1)]), { tag: "1", signal });
}

const plain = { tls: { plain: true } };

test("a registry in plain http is pushed to through the proxy of HTTP_PROXY", async () => {
  await using registry = await startMemoryRegistry();
  using proxy = await proxyTo(registry.host);
  const withPassword = proxy.address.replace("//", "//someone:s%40cret@");
  await push("registry.test:5000", { ...plain, proxies: proxiesOf({ http_proxy: withPassword }) });

  expect(registry.repository("team/debug").tags.size).toBe(1);
  expect(proxy.asked.every(({ line }) => / http:\/\/registry\.test:5000\/v2\//.test(line))).toBe(true);
  const credential = `Basic ${Buffer.from("someone:s@cret").toString("base64")}`;
  expect(new Set(proxy.asked.map((each) => each.credential))).toEqual(new Set([credential]));
});

let certificates: Certificates;
beforeEach(async (test) => {
  program(test, "openssl");
  certificates ??= await makeCertificates();
});

test("a registry with TLS is pushed to through a tunnel, and its certificate is checked", async () => {
  await using registry = await startMemoryRegistry({ tls: certificates.stranger });
  using proxy = await proxyTo(registry.host);
  const proxies = proxiesOf({ HTTPS_PROXY: proxy.address.replace("http://", "") });
  await push("registry.example.com", { tls: { ca: certificates.ca }, proxies });
  expect(registry.repository("team/debug").tags.size).toBe(1);
  expect(new Set(proxy.asked.map(({ line }) => line))).toEqual(new Set(["CONNECT registry.example.com:443"]));

  await expect(push("registry.example.com", { proxies })).rejects.toMatchObject({ code: "tls" });
  await expect(push("other.example.com", { tls: { ca: certificates.ca }, proxies })).rejects.toMatchObject({
    code: "tls",
  });
});

test.for<[string, (address: string) => Proxies]>([
  ["NO_PROXY names it", (http) => proxiesOf({ HTTP_PROXY: http, NO_PROXY: "example.com, .invalid:5000" })],
  ["NO_PROXY is a star", (http) => proxiesOf({ HTTP_PROXY: http, no_proxy: "*" })],
  ["no variable is set", () => proxiesOf({})],
])("a host is looked for directly where %s", async ([, proxiesAt]) => {
  await using registry = await startMemoryRegistry();
  using proxy = await proxyTo(registry.host);
  await expect(push("registry.invalid:5000", { ...plain, proxies: proxiesAt(proxy.address) })).rejects.toMatchObject({
    code: "unavailable",
  });
  expect(proxy.asked).toEqual([]);
});

test("this machine's own registry is never looked for through a proxy", async () => {
  await using registry = await startMemoryRegistry();
  using proxy = await proxyTo(registry.host);
  await push(registry.host, { proxies: proxiesOf({ HTTP_PROXY: proxy.address, HTTPS_PROXY: proxy.address }) });
  expect(proxy.asked).toEqual([]);
});

test.for([
  ["http", 403],
  ["http", 407],
  ["https", 403],
  ["https", 407],
] as const)("a proxy for %s that answers %i is named, and its password is not", async ([scheme, status]) => {
  using proxy = await proxyTo("127.0.0.1:1", status);
  const address = proxy.address.replace("//", "//someone:hunter22@");
  const proxies = proxiesOf({ HTTP_PROXY: address, HTTPS_PROXY: address });
  const outcome: unknown = await push("registry.test", { tls: { plain: scheme === "http" }, proxies }).catch((e) => e);
  expect(outcome).toMatchObject(status === 403 && scheme === "http" ? { status } : { code: "proxy", status });
  expect(String(outcome)).not.toContain("hunter22");
});

test.for(["ftp://proxy:21", "http://", "http://a b"])("%s is no proxy", (value) => {
  expect(() => proxiesOf({ HTTPS_PROXY: value })).toThrow("HTTPS_PROXY is not the address of a proxy");
});
