import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import * as tls from "node:tls";
import type { Bytes } from "@melange2/oci";
import type { Dispatcher } from "undici";
import { RegistryError } from "./error.ts";
import { fromNodeError } from "./node-errors.ts";
import { type Proxies, proxyAgentOptions } from "./proxies.ts";
import { isLoopback } from "./reference.ts";

/** How to talk to a registry's host. */
export interface Tls {
  /** http instead of https. Credentials then travel in the clear. */
  readonly plain?: boolean;
  /** The registry's certificate is not checked, and a registry without TLS is spoken to in plain http. */
  readonly insecure?: boolean;
  /** PEM text of certificate authorities, trusted besides the system's. */
  readonly ca?: string;
}

/** A request's body. `open` may be called again when the request is repeated; its size must be exact. */
export interface HttpBody {
  readonly size: number;
  open(): Bytes;
}

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: HttpBody | undefined;
}

/** An answer whose body is still to come: read it or discard it, or its connection stays occupied. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly url: URL;
  /** Failures of the connection are thrown as this package's errors. */
  readonly body: Bytes;
  discard(): void;
}

export interface TransportOptions extends Tls {
  /** The registry's own host name without port: `insecure` is for it alone, not for hosts that it points to. */
  readonly hostname: string;
  readonly proxies: Proxies;
  /** A connection on which nothing moves for so long has failed. */
  readonly idleTimeout: number;
  readonly signal: AbortSignal;
}

/** HTTP over pooled connections: one request, one answer. No redirects, no retries, no authentication. */
export interface Transport extends Disposable {
  send(request: HttpRequest): Promise<HttpAnswer>;
}

/** Answers below this size are read to free their connection; larger ones cost less to cut off. */
const worthReading = 64 * 1024;

export function createTransport(options: TransportOptions): Transport {
  let opened: Promise<Agents> | undefined;
  return {
    async send(request) {
      opened ??= openAgents(options);
      const agents = await opened;
      return exchange(request, options, agents.for(request.url));
    },
    [Symbol.dispose]() {
      void opened?.then(({ all }) => Promise.all(all.map((agent) => agent.destroy())));
    },
  };
}

interface Agents {
  for(url: URL): Dispatcher;
  readonly all: readonly Dispatcher[];
}

/** Loads undici, which takes a tenth of a second, and which a build without a registry never needs. */
async function openAgents({ ca, insecure, hostname, proxies, idleTimeout }: TransportOptions): Promise<Agents> {
  const { Agent, EnvHttpProxyAgent } = await import("undici");
  const options = (verify: boolean) => {
    const tls = { ...(ca === undefined ? {} : { ca: [...trusted(), ca] }), rejectUnauthorized: verify };
    return { connections: 8, connect: { ...tls, timeout: idleTimeout }, requestTls: tls };
  };
  const pool = (verify: boolean) => ({
    direct: new Agent(options(verify)),
    proxied: new EnvHttpProxyAgent({ ...options(verify), ...proxyAgentOptions(proxies) }),
  });
  const verifying = pool(true);
  const trusting = insecure === true ? pool(false) : verifying;
  return {
    for(url) {
      const { direct, proxied } = url.hostname === hostname ? trusting : verifying;
      // As programs in Go do: a proxy elsewhere cannot reach what listens on this machine only.
      return isLoopback(url.hostname) ? direct : proxied;
    },
    all: [verifying, trusting].flatMap(({ direct, proxied }) => [direct, proxied]),
  };
}

/** What Node trusts by itself; before 22.15 it cannot tell what the user's environment added. */
function trusted(): readonly string[] {
  return tls.getCACertificates?.("default") ?? tls.rootCertificates;
}

async function exchange(
  { method, url, headers, body }: HttpRequest,
  { idleTimeout, signal }: TransportOptions,
  dispatcher: Dispatcher,
): Promise<HttpAnswer> {
  signal.throwIfAborted();
  const upload = body === undefined ? undefined : Readable.from(complete(body), { objectMode: false });
  let uploadError: unknown;
  upload?.on("error", (error) => {
    uploadError ??= error;
  });
  const failed = (error: unknown): unknown => {
    if (signal.aborted) return signal.reason;
    return uploadError ?? fromNodeError(error, url.host);
  };
  try {
    const answer = await dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: method as Dispatcher.HttpMethod,
      headers: {
        "accept-encoding": "identity",
        ...headers,
        ...(body === undefined ? {} : { "content-length": String(body.size) }),
      },
      body: upload ?? null,
      signal,
      headersTimeout: idleTimeout,
      bodyTimeout: idleTimeout,
    });
    return answerOf(url, answer, failed);
  } catch (error) {
    throw failed(error);
  }
}

function answerOf(url: URL, answer: Dispatcher.ResponseData, failed: (error: unknown) => unknown): HttpAnswer {
  // Without a listener, a connection that fails after the answer was dropped would end the process.
  answer.body.on("error", () => {});
  return {
    status: answer.statusCode,
    headers: answer.headers,
    url,
    body: (async function* () {
      try {
        for await (const chunk of answer.body) yield chunk as Uint8Array;
      } catch (error) {
        throw failed(error);
      }
    })(),
    discard() {
      const short = Number(answer.headers["content-length"] ?? 0) <= worthReading;
      if (short) answer.body.dump({ limit: worthReading }).catch(() => {});
      else answer.body.destroy();
    },
  };
}

/** The body's bytes, refused when they are fewer than announced: the registry would wait for the rest. */
async function* complete(body: HttpBody): Bytes {
  let sent = 0;
  for await (const chunk of body.open()) {
    sent += chunk.length;
    yield chunk;
  }
  if (sent === body.size) return;
  throw new RegistryError("digest", `content of ${body.size} bytes was announced, but ${sent} came from its source`, {
    hint: "The image's content changed or is damaged: make it again.",
  });
}
