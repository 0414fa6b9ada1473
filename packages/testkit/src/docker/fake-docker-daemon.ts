import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bytes, Digest } from "@melange2/core";
import { type ArchivedImage, readImageArchive } from "../read-image-archive.ts";

/** What a fake daemon does instead of its work. */
export type DaemonFault =
  | { readonly kind: "status"; readonly status: number; readonly message: string }
  /** 200, and then an error in the body, as Docker does once it has begun to answer. */
  | { readonly kind: "error-in-answer"; readonly message: string }
  /** The connection is cut when this many bytes of the request's body came; 0: at once. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** The connection is cut in the middle of the answer; the work is not done. */
  | { readonly kind: "cut-answer" }
  /** The request is not read on before this resolves; then it is served as usual. */
  | { readonly kind: "wait"; readonly until: Promise<void> };

export interface FakeDockerOptions {
  /** classic shows an image by its config's digest, containerd by its manifest's. Default classic. */
  readonly store?: "classic" | "containerd";
  readonly product?: "docker" | "podman";
  /** As `docker info` says it. Default x86_64. */
  readonly architecture?: string;
  /** Decides for each request, `POST /images/load`, what goes wrong. */
  readonly fault?: (request: string) => DaemonFault | undefined;
  /** Listens on 127.0.0.1 with TLS instead of on a unix socket. */
  readonly tls?: ServerOptions;
}

export interface FakeDockerDaemon extends AsyncDisposable {
  /** As in DOCKER_HOST. */
  readonly address: string;
  readonly id: string;
  /** By `name:tag`. One that lost its name is still found by its ID. */
  readonly images: ReadonlyMap<string, ArchivedImage>;
  /** Requests in order: `GET /info`. */
  readonly requests: readonly string[];
  /** Bytes of request bodies that came to `/images/load`. */
  readonly loadedBytes: number;
}

/** The part of the Docker Engine API that images are loaded by, in memory, on a socket of its own. Misbehaves on demand. */
export async function fakeDockerDaemon(options: FakeDockerOptions = {}): Promise<FakeDockerDaemon> {
  const id = randomUUID();
  const images = new Map<string, ArchivedImage>();
  const requests: string[] = [];
  let loadedBytes = 0;
  const idOf = (image: ArchivedImage): Digest =>
    options.store === "containerd" && image.manifest ? image.manifest.digest : image.imageId;
  const loaded: ArchivedImage[] = [];
  const find = (name: string) => images.get(name) ?? loaded.find((image) => idOf(image) === name);

  async function* counted(body: Bytes, cutAfter = Number.POSITIVE_INFINITY): Bytes {
    let came = 0;
    for await (const chunk of body) {
      came += chunk.length;
      loadedBytes += chunk.length;
      if (came >= cutAfter) throw new CutHere();
      yield chunk;
    }
  }

  async function load(
    request: IncomingMessage,
    response: ServerResponse,
    fault: DaemonFault | undefined,
  ): Promise<void> {
    const cutAfter = fault?.kind === "cut" ? fault.afterBytes : undefined;
    const image = await readImageArchive(counted(request, cutAfter)).catch((error: Error) => error);
    if (image instanceof CutHere) throw image;
    if (request.destroyed && !request.complete) return;
    if (fault?.kind === "cut-answer") {
      response.writeHead(200, { "Content-Type": "application/json" });
      response.write('{"stream":"Loaded im', () => response.destroy());
      return;
    }
    const error =
      fault?.kind === "error-in-answer" ? fault.message : image instanceof Error ? image.message : undefined;
    if (error !== undefined || image instanceof Error) {
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(
        `{"stream":"Loading layer\\n"}\r\n${JSON.stringify({ errorDetail: { message: error }, error })}\r\n`,
      );
      return;
    }
    loaded.push(image);
    for (const name of image.names) images.set(name, image);
    answer(response, 200, { stream: `Loaded image: ${image.names.join(", ")}\n` });
  }

  async function serve(
    request: IncomingMessage,
    response: ServerResponse,
    fault: DaemonFault | undefined,
  ): Promise<void> {
    const url = new URL(request.url ?? "/", "http://daemon");
    const route = `${request.method} ${url.pathname}`;
    if (route === "POST /images/load") return load(request, response, fault);
    if (route === "GET /info") {
      const driver = options.store === "containerd" ? [["driver-type", "io.containerd.snapshotter.v1"]] : [];
      return answer(response, 200, {
        ID: id,
        Architecture: options.architecture ?? "x86_64",
        OSType: "linux",
        DriverStatus: driver,
      });
    }
    if (route === "GET /version") {
      const product = options.product === "podman" ? "Podman Engine" : "Engine";
      return answer(response, 200, { Version: "28.5.2", Components: [{ Name: product, Version: "28.5.2" }] });
    }
    const [, method, name] = /^(GET|POST) \/images\/(.+)\/(?:json|tag)$/.exec(route) ?? [];
    const image = name && find(decodeURIComponent(name));
    if (!image) return answer(response, 404, { message: `No such image: ${name ?? url.pathname}` });
    if (method === "GET") {
      return answer(response, 200, {
        Id: idOf(image),
        Config: image.config,
        RootFS: { Type: "layers", Layers: image.diffIds },
      });
    }
    images.set(`${url.searchParams.get("repo")}:${url.searchParams.get("tag")}`, image);
    response.writeHead(201).end();
  }

  const listener: RequestListener = async (request, response) => {
    const { socket } = request;
    const route = `${request.method} ${(request.url ?? "").split("?")[0]}`;
    requests.push(route);
    const fault = options.fault?.(route);
    try {
      if (fault?.kind === "wait") await fault.until;
      if (fault?.kind === "cut" && fault.afterBytes === 0) throw new CutHere();
      if (fault?.kind === "status") return answer(response, fault.status, { message: fault.message });
      await serve(request, response, fault);
    } catch {
      // A request that was destroyed half-read leaves its socket open.
      socket.destroy();
    }
  };

  const server = options.tls ? createTlsServer(options.tls, listener) : createPlainServer(listener);
  const folder = await mkdtemp(join(tmpdir(), "melange2-docker-"));
  const socket = join(folder, "docker.sock");
  await new Promise<void>((resolve) =>
    options.tls ? server.listen(0, "127.0.0.1", resolve) : server.listen(socket, resolve),
  );
  return {
    address: options.tls ? `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix://${socket}`,
    id,
    images,
    requests,
    get loadedBytes() {
      return loadedBytes;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

class CutHere extends Error {}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}
