import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { openRepository, pushImage } from "../src/index.ts";
import { imageOf, noiseLayer } from "./scene.ts";

/** A plain server that notes what it was asked, with which credential, and answers as `answer` says. */
async function server(answer: (request: IncomingMessage) => { status: number; headers?: Record<string, string> }) {
  const asked: { line: string; authorization: string | undefined; size: number }[] = [];
  const listening = createServer(async (request, response) => {
    const { status, headers } = answer(request);
    let size = 0;
    if (status < 300) for await (const chunk of request) size += chunk.length;
    asked.push({ line: `${request.method} ${request.url}`, authorization: request.headers.authorization, size });
    response.writeHead(status, headers).end();
  });
  await once(listening.listen(0, "127.0.0.1"), "listening");
  return {
    host: `127.0.0.1:${(listening.address() as AddressInfo).port}`,
    asked,
    [Symbol.dispose]() {
      listening.closeAllConnections();
      listening.close();
    },
  };
}

test.each([307, 308])("an upload redirected by %i goes to the other host, without the credential", async (status) => {
  using store = await server(({ method }) =>
    method === "POST"
      ? { status: 202, headers: { location: "/session?state=a%2Fb&x=1" } }
      : { status: method === "PUT" ? 201 : 404 },
  );
  using registry = await server(({ method, url = "", headers }) => {
    if (headers.authorization === undefined) return { status: 401, headers: { "www-authenticate": "Basic realm=x" } };
    if (method === "POST") return { status, headers: { location: `http://${store.host}/begin?from=registry` } };
    return { status: method === "PUT" && url.includes("/manifests/") ? 201 : 404 };
  });
  const { signal } = new AbortController();
  using repository = openRepository(
    { registry: registry.host, repository: "team/debug" },
    { signal, tls: { plain: true }, credentials: async () => ({ username: "u", password: "p" }), attempts: 1 },
  );
  await pushImage(repository, imageOf([noiseLayer(100_000, 1)]), { tag: "1", signal });

  expect(store.asked.every(({ authorization }) => authorization === undefined)).toBe(true);
  const puts = store.asked.filter(({ line }) => line.startsWith("PUT /session?state=a%2Fb&x=1&digest=sha256%3A"));
  expect(puts).toHaveLength(2);
  expect(Math.max(...puts.map(({ size }) => size))).toBeGreaterThan(50_000);
  expect(registry.asked.filter(({ line }) => line.includes("/session"))).toEqual([]);
});

test("a body that is redirected is sent again as a whole", async () => {
  using store = await server(({ method }) => ({ status: method === "PUT" ? 201 : 404 }));
  using registry = await server(({ method, url = "" }) => {
    if (method === "POST") return { status: 202, headers: { location: "/up?state=1" } };
    if (method === "PUT" && url.startsWith("/up"))
      return { status: 307, headers: { location: `http://${store.host}${url}` } };
    return { status: method === "PUT" ? 201 : 404 };
  });
  const { signal } = new AbortController();
  using repository = openRepository(
    { registry: registry.host, repository: "team/debug" },
    { signal, tls: { plain: true }, attempts: 1 },
  );
  await pushImage(repository, imageOf([noiseLayer(3_000_000, 2)]), { tag: "1", signal });
  expect(store.asked.map(({ line }) => line.replace(/sha256.*/, ""))).toEqual(Array(2).fill("PUT /up?state=1&digest="));
  expect(Math.max(...store.asked.map(({ size }) => size))).toBeGreaterThan(2_900_000);
});
