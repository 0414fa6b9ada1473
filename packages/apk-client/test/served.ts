import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type MadePackage,
  makeIndex,
  makePackage,
  type TestKey,
  testKey,
} from "@melange2-tooling/fixtures/apk-packages";

export interface Served extends AsyncDisposable {
  /** Address of the repository. */
  readonly url: string;
  readonly key: TestKey;
  /** `METHOD PATH` of each request, and the headers it had. */
  readonly asked: { readonly line: string; readonly headers: IncomingMessage["headers"] }[];
  readonly packages: readonly MadePackage[];
  /** Files by path below the repository; change them as you like. */
  readonly files: Map<string, Buffer>;
  /** Answers a request in place of the files; true: it has. */
  misbehave?: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** How often a path was asked for. */
  count(path: string): number;
}

/** A signed repository on loopback, with entity tags and ranges. */
export async function serveRepository(
  packages: readonly MadePackage[] = [
    makePackage({ name: "a", files: [{ name: "usr/a", content: randomBytes(100_000) }] }),
    makePackage({ name: "b", files: [{ name: "usr/b", content: "b" }], lines: ["depend = a"] }),
  ],
): Promise<Served> {
  const key = testKey();
  const files = new Map<string, Buffer>(packages.map(({ file, bytes }) => [`x86_64/${file}`, bytes]));
  files.set("x86_64/APKINDEX.tar.gz", makeIndex({ packages, key }));
  const asked: Served["asked"] = [];
  const served: Served = {
    url: "",
    key,
    asked,
    packages,
    files,
    count: (path) => asked.filter(({ line }) => line.endsWith(path)).length,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  const server = createServer((request, response) => {
    asked.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    if (served.misbehave?.(request, response)) return;
    const path = decodeURIComponent((request.url ?? "").replace(/^\/os\//, ""));
    const content = files.get(path);
    if (!content) return response.writeHead(404).end();
    const etag = `"${content.length}-${content.subarray(-16).toString("hex")}"`;
    if (request.headers["if-none-match"] === etag) return response.writeHead(304).end();
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? -1);
    if (start >= content.length) return response.writeHead(416).end();
    if (start >= 0) {
      response.writeHead(206, {
        "content-range": `bytes ${start}-${content.length - 1}/${content.length}`,
        "content-length": content.length - start,
      });
      return response.end(content.subarray(start));
    }
    response.writeHead(200, { etag, "content-length": content.length });
    return response.end(content);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return Object.assign(served, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/os` });
}
