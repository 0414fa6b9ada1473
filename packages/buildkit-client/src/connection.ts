import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransportOptions } from "@connectrpc/connect-node";
import { BuildkitError } from "./error.ts";
import { Control } from "./gen/control_pb.ts";
import { translateError } from "./translate.ts";
import type { Link, Transport } from "./transport/transport.ts";

/** One HTTP/2 connection to a daemon. It is never re-opened: sessions and jobs do not survive it. */
export interface Connection {
  readonly address: string;
  client<S extends DescService>(service: S): Client<S>;
  /** Runs a request and translates what it throws; `what` names it in messages. */
  call<T>(what: string, signal: AbortSignal | undefined, request: () => Promise<T>): Promise<T>;
  /** While the result is not called, silence of the daemon of more than 9.5 s ends the connection, within 12 s. */
  watch(): () => void;
  /** Ends everything that is still going on, and the transport. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly signal?: AbortSignal;
  /** How long the daemon may take to answer, 7 s by default. */
  readonly timeoutMs?: number;
}

/** Opens the transport and asks the daemon something, so that a connection that is returned is one that works. */
export async function openConnection(transport: Transport, options: ConnectOptions): Promise<Connection> {
  const timeoutMs = options.timeoutMs ?? 7_000;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  let connection: (Connection & Loss) | undefined;
  try {
    connection = createConnection(transport, await dial(transport, signal));
    await connection.client(Control).listWorkers({}, { signal });
    return connection;
  } catch (error) {
    const reason = (await connection?.lossReason()) ?? reasonOf(error);
    await connection?.close();
    if (options.signal?.aborted === true) {
      throw translateError(error, `connecting to ${transport.address}`, {
        address: transport.address,
        signal: options.signal,
        lost: undefined,
      });
    }
    const why = timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : reason;
    throw new BuildkitError(
      "unreachable",
      `No BuildKit daemon at ${transport.address}: tried ${transport.attempt}: ${why}`,
      {
        hint: transport.advice,
        address: transport.address,
        cause: error,
      },
    );
  }
}

/** A transport that does not heed its signal is left behind, and closed should it come after all. */
async function dial(transport: Transport, signal: AbortSignal): Promise<Link> {
  signal.throwIfAborted();
  const attempt = transport.dial(signal);
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([attempt, aborted.promise]);
  } catch (error) {
    attempt.then((late) => late.socket.on("error", () => {}).destroy()).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

const authority = "http://buildkit";
const methodsHeader = "x-docker-expose-session-grpc-method";
const windowBytes = 4 * 1024 * 1024;
/** Node gives up the whole connection over a header of more, and an error is one; buildkitd, being told, gives up the one answer. */
const largestHeaders = 64 * 1024;
const beat = { everyMs: 1_000, patienceMs: 5_500, secondPatienceMs: 4_000 };

interface Loss {
  /** Why the connection ended by itself; undefined while it has not. */
  lossReason(): Promise<string | undefined>;
}

function createConnection(transport: Transport, link: Link): Connection & Loss {
  const { socket } = link;
  const session = connectHttp2(authority, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: windowBytes, maxHeaderListSize: largestHeaders },
    // Megabytes. Node's own limit of 10 refuses streams of a busy connection.
    maxSessionMemory: 64,
  });
  session.once("connect", () => {
    if (!session.destroyed) session.setLocalWindowSize(4 * windowBytes);
  });
  let cause: unknown;
  let lost: BuildkitError | undefined;
  socket.on("error", (error) => {
    cause ??= error;
  });
  session.on("error", (error) => {
    cause ??= error;
  });
  const lossReason = async () => {
    if (!session.destroyed && !socket.destroyed) return undefined;
    return (await link.whyEnded?.()) ?? reasonOf(cause);
  };
  const whyLost = async (error: unknown) => {
    const reason = lost === undefined ? await lossReason() : undefined;
    if (reason !== undefined) lost ??= lostError(transport, reason, cause);
    // A daemon that shuts down lets what runs come to its end, and takes nothing new.
    const refused = session.closed && !ConnectError.from(error).isWireError;
    return lost ?? (refused ? lostError(transport, "it is shutting down", error) : undefined);
  };
  const grpc = createGrpcTransport({ baseUrl: authority, sessionManager: managerOf(session), acceptCompression: [] });
  const control = createClient(Control, grpc);
  const watch = createWatch(
    control,
    () => socket.bytesRead,
    () => {
      lost ??= lostError(transport, "it no longer answers", undefined);
      // With an error, because streams that end without one would leave their requests waiting.
      session.destroy(lost);
      socket.destroy();
    },
  );
  return {
    address: transport.address,
    client: (service) => createClient(service, grpc),
    async call(what, signal, request) {
      try {
        return await request();
      } catch (error) {
        throw translateError(error, what, { address: transport.address, signal, lost: await whyLost(error) });
      }
    },
    watch,
    lossReason,
    async close() {
      lost ??= new BuildkitError("connection-lost", `the connection to ${transport.address} is closed`, {
        hint: "Connect again.",
        address: transport.address,
      });
      if (!session.destroyed) {
        const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
        session.destroy(lost);
        // First, because a session closes only after what it is writing, which a daemon that reads no more never takes.
        socket.destroy();
        await closed;
      }
      socket.destroy();
    },
  };
}

/**
 * Connect's own manager would join the values of a repeated header into one, which a daemon takes for one method with
 * an odd name. This one sends that header once per method.
 */
function managerOf(session: ClientHttp2Session): GrpcTransportOptions["sessionManager"] & {} {
  return {
    authority,
    async request(method, path, headers, options) {
      const methods = headers[methodsHeader];
      const split = typeof methods === "string" ? { [methodsHeader]: methods.split(", ") } : {};
      const stream = session.request({ ...headers, ...split, ":method": method, ":path": path }, options);
      // A daemon may reset a stream after Connect has stopped to listen: a definition that is too large, for one.
      stream.on("error", () => {});
      return stream;
    },
    notifyResponseByteRead() {},
  };
}

/**
 * Asks the daemon something cheap while work is going on. Not by HTTP/2 pings: daemons take frequent ones for abuse
 * and close the connection. Whatever else it says is a sign of life, too: over a slow link the question waits behind
 * what is being sent.
 */
function createWatch(
  control: Client<typeof Control>,
  bytesRead: () => number,
  onSilence: () => void,
): () => () => void {
  let watchers = 0;
  let timer: NodeJS.Timeout | undefined;
  const unanswered = async (timeoutMs: number) => {
    try {
      await control.listWorkers({}, { timeoutMs });
      return false;
    } catch (error) {
      return ConnectError.from(error).code === Code.DeadlineExceeded;
    }
  };
  const tick = async () => {
    const before = bytesRead();
    const late = await unanswered(beat.patienceMs);
    // Asked twice, because a process that was itself stopped or busy finds its timer due before the answer is read.
    const silent = async () => bytesRead() === before && (await unanswered(beat.secondPatienceMs));
    if (late && (await silent()) && bytesRead() === before) onSilence();
    else if (watchers > 0) schedule(late ? 0 : beat.everyMs);
  };
  const schedule = (delayMs: number) => {
    timer = setTimeout(tick, delayMs).unref();
  };
  return () => {
    if (watchers++ === 0) {
      clearTimeout(timer);
      schedule(beat.everyMs);
    }
    let watching = true;
    return () => {
      if (!watching) return;
      watching = false;
      if (--watchers === 0) clearTimeout(timer);
    };
  };
}

function lostError(transport: Transport, reason: string, cause: unknown): BuildkitError {
  return new BuildkitError("connection-lost", `the connection to ${transport.address} was lost: ${reason}`, {
    hint: transport.advice,
    address: transport.address,
    cause,
  });
}

function reasonOf(error: unknown): string {
  if (error === undefined) return "it closed the connection";
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(reasonOf).join("; ");
  const text = error instanceof Error && error.message !== "" ? error.message : String(error);
  return text.trim();
}
