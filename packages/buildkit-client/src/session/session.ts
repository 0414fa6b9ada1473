import { randomUUID } from "node:crypto";
import { createServer, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Session } from "node:http2";
import { Code, ConnectError, type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Connection } from "../connection.ts";
import { Content } from "../gen/content_pb.ts";
import { Control } from "../gen/control_pb.ts";
import { Auth, FileSend, FileSendTree, FileSync } from "../gen/filesync_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../gen/health_pb.ts";
import { Secrets } from "../gen/secrets_pb.ts";
import type { Tree } from "../tree/entry.ts";
import { type BlobStore, serveStores } from "./content.ts";
import { type ByteSink, serveDestination, serveSinks } from "./file-send.ts";
import { serveTrees } from "./file-sync.ts";
import { valuesFor } from "./sent-headers.ts";
import { openTunnel } from "./tunnel.ts";

/** What a solve may take from this process. What is not in here cannot be had. */
export interface Served {
  /**
   * Directories for `local://NAME` sources. Of each name, and hint of the source, a daemon has one copy for all its clients: it asks only for files
   * whose size, mode, owner or mtime differs from what it has.
   */
  readonly trees?: Readonly<Record<string, Tree>>;
  /** Blobs for oci-layout sources, by the source's store. */
  readonly stores?: Readonly<Record<string, BlobStore>>;
  /**
   * Asked once for every execution that needs the secret, so a caller that counts knows what ran. undefined: there is
   * none, which fails an execution that requires it.
   */
  readonly secrets?: (id: string) => SecretValue | Promise<SecretValue>;
  /** By registry host as the daemon asks for it: `ghcr.io`, `localhost:5000`; Docker Hub is `registry-1.docker.io`. */
  readonly credentials?: Readonly<Record<string, Credentials>>;
}

export type SecretValue = Uint8Array | string | undefined;

export interface Credentials {
  readonly username: string;
  /** The password, or an identity token with an empty user name. */
  readonly secret: string;
}

/** Where the exports of a solve arrive. */
export interface Received {
  readonly sinks: ReadonlyMap<number, ByteSink>;
  readonly directory: string | undefined;
}

export interface Session {
  /** Unique; what a solve names it by. */
  readonly id: string;
  /** The first error that happened on this side since it was asked last: it tells more than what the daemon makes of it. */
  takeFailure(): unknown;
  close(): void;
}

/** Remembers what goes wrong in handlers, unless it is an answer that the daemon is meant to get. */
export interface Report {
  stream<T>(signal: AbortSignal, output: AsyncIterable<T>): AsyncIterable<T>;
  reply<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T>;
}

/** Serves this solve and nothing else over the daemon's connection, until it is closed. */
export function openSession(connection: Connection, served: Served, received: Received): Session {
  const id = randomUUID();
  let failure: unknown;
  const report = createReport((error) => {
    failure ??= error;
  });
  const router = createConnectRouter({ connect: false, grpcWeb: false, acceptCompression: [] });
  register(router, served, received, report);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const headers = new Headers({ "x-docker-expose-session-uuid": id });
  for (const method of handlers.keys()) headers.append("x-docker-expose-session-grpc-method", method);
  const tunnel = openTunnel(connection.client(Control), headers);

  const answer = async (request: Http2ServerRequest, response: Http2ServerResponse) => {
    // A daemon that was told to stop may have taken the call back already.
    request.stream.on("error", () => {});
    if (request.stream.destroyed) return;
    const handler = handlers.get(request.url);
    if (handler === undefined) {
      // Daemons ask for what they do not need, such as who signs tokens, and do without where they are told that it is not here.
      const status = { "grpc-status": Code.Unimplemented, "grpc-message": `${request.url} is not served here` };
      request.stream.respond({ ":status": 200, "content-type": "application/grpc", ...status }, { endStream: true });
      return;
    }
    try {
      const reply = await handler(universalRequestFromNodeRequest(request, response, undefined, valuesFor(request)));
      if (!request.stream.destroyed) await universalResponseToNodeResponse(reply, response);
    } catch {
      // Handlers report their own failures; what is left is a call that the daemon cut off.
      request.stream.destroy();
    }
  };
  const server = createServer(
    {
      settings: { initialWindowSize: 1024 * 1024, maxHeaderListSize: 16 << 20 },
      // Every pattern of a local source is a header; Node's own limit is 128 of them.
      maxHeaderListPairs: 65_535,
      maxSessionMemory: 64,
    },
    answer,
  );
  let session: ServerHttp2Session | undefined;
  server.on("session", (opened) => {
    session = opened.on("error", () => {});
  });
  server.on("sessionError", () => {});
  server.emit("connection", tunnel);
  return {
    id,
    takeFailure() {
      const taken = failure;
      failure = undefined;
      return taken;
    },
    close() {
      session?.destroy();
      tunnel.destroy();
    },
  };
}

function register(router: ConnectRouter, served: Served, received: Received, report: Report): void {
  // Without an answer the daemon gives the session up after ten seconds.
  router.service(Health, { check: () => ({ status: HealthCheckResponse_ServingStatus.SERVING }) });
  const { trees, stores, secrets, credentials } = served;
  if (trees !== undefined) router.service(FileSync, serveTrees(trees, report));
  if (stores !== undefined) router.service(Content, serveStores(stores, report));
  if (secrets !== undefined) {
    router.service(Secrets, {
      getSecret: ({ ID }, context) =>
        report.reply(context.signal, async () => {
          const value = await secrets(ID);
          if (value === undefined) throw new ConnectError(`secret ${ID}: not found`, Code.NotFound);
          return { data: typeof value === "string" ? new TextEncoder().encode(value) : value };
        }),
    });
  }
  if (credentials !== undefined) {
    router.service(Auth, {
      credentials: ({ Host }) => {
        const known = Object.hasOwn(credentials, Host) ? credentials[Host] : undefined;
        return { Username: known?.username ?? "", Secret: known?.secret ?? "" };
      },
    });
  }
  if (received.sinks.size > 0) router.service(FileSend, serveSinks(received.sinks, report));
  if (received.directory !== undefined) {
    // The same path as FileSend, with other messages.
    router.rpc(
      { ...FileSendTree.method.diffCopy, parent: FileSend },
      serveDestination(received.directory, report).diffCopy,
    );
  }
}

function createReport(remember: (error: unknown) => void): Report {
  const note = (error: unknown, signal: AbortSignal): unknown => {
    if (!signal.aborted && !(error instanceof ConnectError)) remember(error);
    return error instanceof Error && !(error instanceof ConnectError)
      ? new ConnectError(error.message, Code.Unknown)
      : error;
  };
  return {
    async *stream(signal, output) {
      try {
        yield* output;
      } catch (error) {
        throw note(error, signal);
      }
    },
    async reply(signal, run) {
      try {
        return await run();
      } catch (error) {
        throw note(error, signal);
      }
    },
  };
}
