import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type Access, type AccessOptions, createAccess } from "./access.ts";
import { blobRoute, openUpload, uploadRoute } from "./blob-routes.ts";
import { type RegistryRequest, type Reply, refuse, reply } from "./exchange.ts";
import { createFaults, type Fault } from "./faults.ts";
import { manifestRoute, tagsRoute } from "./manifest-routes.ts";
import { createStore, type Store, type StoredRepository } from "./store.ts";

export interface MemoryRegistryOptions {
  /** PEM texts. Without them it speaks plain http. */
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly access?: AccessOptions;
}

/** One request as it came in. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Bytes of its body that were read. */
  readonly bodyBytes: number;
}

/** A registry on a free port of 127.0.0.1 that keeps everything in memory and misbehaves on demand. */
export interface MemoryRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly origin: string;
  /** All requests so far, in order of arrival. */
  readonly requests: readonly SeenRequest[];
  /** Bytes of request bodies so far, those of uploads that failed included. */
  readonly bytesReceived: number;
  /** Bytes of answers' bodies so far. */
  readonly bytesSent: number;
  /** The live contents of a repository. */
  repository(name: string): Pick<StoredRepository, "blobs" | "manifests" | "tags" | "uploads">;
  misbehave(fault: Fault): void;
  /** All tokens given out so far are refused from now on. */
  expireTokens(): void;
  /** Drops all uploads that are not finished, as a restart does. */
  forgetUploads(): void;
}

/**
 * Starts a registry that follows the OCI distribution specification for sha256: pull, push, mount, ranges, tags and deletion.
 * Left out: sha512, referrers, tags given while a manifest is put by digest, manifests whose parts are elsewhere, the catalogue,
 * cross-origin requests.
 */
export async function startMemoryRegistry(options: MemoryRegistryOptions = {}): Promise<MemoryRegistry> {
  const store = createStore();
  const faults = createFaults();
  const seen: { method: string; url: string; headers: SeenRequest["headers"]; bodyBytes: number }[] = [];
  let bytesSent = 0;
  let origin = "";
  const access = createAccess(options.access, () => origin);

  const serve = async (incoming: IncomingMessage, response: ServerResponse, socket: Socket): Promise<void> => {
    const entry = {
      method: incoming.method ?? "",
      url: incoming.url ?? "",
      headers: incoming.headers as SeenRequest["headers"],
      bodyBytes: 0,
    };
    seen.push(entry);
    incoming.on("data", (chunk: Buffer) => {
      entry.bodyBytes += chunk.length;
    });
    incoming.pause();
    const request = requestOf(incoming, origin);
    const fault = faults.take(request);

    if (fault !== undefined && "stall" in fault) return;
    if (fault !== undefined && "cutRequest" in fault) {
      await readSome(incoming, fault.cutRequest);
      socket.destroy();
      return;
    }
    if (fault !== undefined && "answer" in fault) {
      await write(response, request, { ...reply(fault.answer.status), ...fault.answer }, undefined);
      return;
    }
    const answer = await route(request, store, access);
    const told = fault !== undefined && "change" in fault ? fault.change(answer) : answer;
    if (request.method !== "HEAD") bytesSent += told.body.length;
    await write(response, request, told, fault);
  };

  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    // Kept here, for a message that ended early has it no more.
    const { socket } = incoming;
    // A connection that the client gave up is the client's affair.
    serve(incoming, response, socket).catch(() => socket.destroy());
  };
  const server = options.tls === undefined ? createHttp(handle) : createHttps(options.tls, handle);
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  origin = `${options.tls === undefined ? "http" : "https"}://${host}`;

  return {
    host,
    origin,
    requests: seen,
    get bytesReceived() {
      return seen.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
    },
    get bytesSent() {
      return bytesSent;
    },
    repository: (name) => store.repository(name),
    misbehave: (fault) => faults.add(fault),
    expireTokens: () => access.expireTokens(),
    forgetUploads: () => store.forgetUploads(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const namePattern = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*";
const routes = {
  blob: new RegExp(`^/v2/(${namePattern})/blobs/([a-z0-9]+:[0-9a-z]+)$`),
  uploads: new RegExp(`^/v2/(${namePattern})/blobs/uploads/?$`),
  upload: new RegExp(`^/v2/(${namePattern})/blobs/uploads/([0-9a-f-]{36})$`),
  manifest: new RegExp(`^/v2/(${namePattern})/manifests/([A-Za-z0-9_][A-Za-z0-9._-]{0,127}|[a-z0-9]+:[0-9a-z]+)$`),
  tags: new RegExp(`^/v2/(${namePattern})/tags/list$`),
};

async function route(request: RegistryRequest, store: Store, access: Access): Promise<Reply> {
  const { path, method } = request;
  if (path === "/token") return access.token(request);
  const action = method === "GET" || method === "HEAD" ? "pull" : "push";
  if (path === "/v2" || path === "/v2/") return access.check(request, undefined, "pull") ?? reply(200);

  for (const [kind, pattern] of Object.entries(routes)) {
    const [, name, rest = ""] = pattern.exec(path) ?? [];
    if (name === undefined) continue;
    const refused = access.check(request, name, kind === "upload" ? "push" : action);
    if (refused !== undefined) return refused;
    const repository = store.repository(name);
    if (kind === "blob") return blobRoute(request, repository, rest);
    if (kind === "manifest") return manifestRoute(request, repository, name, rest);
    if (kind === "tags") return tagsRoute(request, repository, name);
    if (kind === "upload") return uploadRoute(request, store, name, rest);
    if (method === "POST") {
      return openUpload(request, store, name, (from) => access.check(request, from, "pull") === undefined);
    }
  }
  return refuse(404, "NAME_INVALID", "no such route");
}

function requestOf(incoming: IncomingMessage, origin: string): RegistryRequest {
  const url = new URL(incoming.url ?? "/", origin);
  return {
    method: incoming.method ?? "",
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers as RegistryRequest["headers"],
    body: async () => Buffer.concat(await incoming.toArray()),
  };
}

async function readSome(incoming: IncomingMessage, bytes: number): Promise<void> {
  let left = bytes;
  if (left <= 0) return;
  for await (const chunk of incoming) {
    left -= (chunk as Buffer).length;
    if (left <= 0) return;
  }
}

async function write(
  response: ServerResponse,
  request: RegistryRequest,
  { status, headers, body }: Reply,
  fault: Fault | undefined,
): Promise<void> {
  if (fault !== undefined && "cutAnswer" in fault && fault.cutAnswer < 0) {
    response.socket?.destroy();
    return;
  }
  const bodiless = status === 204 || status === 304;
  const known = Object.entries(headers).filter((header): header is [string, string] => header[1] !== undefined);
  response.writeHead(status, {
    // A length that is a lie would leave the connection in no state to go on with.
    ...("content-length" in headers ? { connection: "close" } : {}),
    ...(bodiless || "content-length" in headers ? {} : { "content-length": String(body.length) }),
    ...Object.fromEntries(known),
  });
  if (request.method === "HEAD" || bodiless) {
    response.end();
    return;
  }
  if (fault !== undefined && "cutAnswer" in fault) {
    response.write(body.subarray(0, fault.cutAnswer), () => response.socket?.destroy());
    return;
  }
  const piece = fault !== undefined && "trickle" in fault ? fault.trickle : Math.max(body.length, 1);
  for (let start = 0; start < body.length; start += piece) {
    await new Promise<void>((resolve, reject) => {
      response.write(body.subarray(start, start + piece), (error) => (error ? reject(error) : setImmediate(resolve)));
    });
  }
  response.end();
}
