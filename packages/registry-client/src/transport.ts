import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as requestHttp,
} from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { Readable } from "node:stream";
import * as tls from "node:tls";
import type { Bytes } from "@melange2/oci";
import { RegistryError } from "./error.ts";
import { fromNodeError } from "./node-errors.ts";

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
  const pool = { keepAlive: true, maxSockets: 8 };
  const http = new HttpAgent(pool);
  const https = new HttpsAgent(options.ca === undefined ? pool : { ...pool, ca: [...trusted(), options.ca] });

  return {
    send: (request) => {
      const secure = request.url.protocol === "https:";
      return exchange(request, options, {
        agent: secure ? https : http,
        ...(secure && options.insecure === true && request.url.hostname === options.hostname
          ? { rejectUnauthorized: false }
          : {}),
      });
    },
    [Symbol.dispose]() {
      http.destroy();
      https.destroy();
    },
  };
}

/** What Node trusts by itself; before 22.15 it cannot tell what the user's environment added. */
function trusted(): readonly string[] {
  return tls.getCACertificates?.("default") ?? tls.rootCertificates;
}

async function exchange(
  { method, url, headers, body }: HttpRequest,
  { idleTimeout, signal }: TransportOptions,
  connection: { readonly agent: HttpAgent; readonly rejectUnauthorized?: boolean },
): Promise<HttpAnswer> {
  signal.throwIfAborted();
  const request = (url.protocol === "https:" ? requestHttps : requestHttp)({
    method,
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port,
    path: `${url.pathname}${url.search}`,
    headers: {
      "accept-encoding": "identity",
      ...headers,
      ...(body === undefined ? {} : { "content-length": String(body.size) }),
    },
    signal,
    ...connection,
  });
  request.setTimeout(idleTimeout, () => {
    request.destroy(Object.assign(new Error("nothing moved"), { code: "ETIMEDOUT" }));
  });

  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
  });
  const upload = body === undefined ? undefined : Readable.from(complete(body), { objectMode: false });
  let uploadError: unknown;
  if (upload === undefined) {
    request.end();
  } else {
    upload.on("error", (error) => {
      uploadError = error;
      request.destroy(error);
    });
    request.on("close", () => upload.destroy());
    upload.pipe(request);
  }

  const failed = (error: unknown): unknown => {
    if (signal.aborted) return signal.reason;
    return uploadError ?? fromNodeError(error, url.host);
  };
  try {
    const response = await answered;
    // A refusal may come before the whole body was sent: the rest of it is of no use.
    if ((response.statusCode ?? 0) >= 300) upload?.destroy();
    return answerOf(url, response, request, failed);
  } catch (error) {
    throw failed(error);
  }
}

function answerOf(
  url: URL,
  response: IncomingMessage,
  request: ClientRequest,
  failed: (error: unknown) => unknown,
): HttpAnswer {
  // Without a listener, a connection that fails after the answer was dropped would end the process.
  response.on("error", () => {});
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    url,
    body: (async function* () {
      try {
        for await (const chunk of response) yield chunk as Uint8Array;
      } catch (error) {
        throw failed(error);
      }
    })(),
    discard() {
      const short = Number(response.headers["content-length"] ?? 0) <= worthReading;
      if (short && request.writableFinished) response.resume();
      else request.destroy();
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
