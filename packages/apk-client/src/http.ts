import { setTimeout as delay } from "node:timers/promises";
import { ApkError, printable } from "@melange2/apk";
import type { Dispatcher } from "undici";
import { type AuthorizationFor, authorizations } from "./credentials.ts";
import { shownUrl } from "./repository-line.ts";

/** The user's environment: `HTTP_AUTH`, and `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` or their names in small letters, which come first. */
export type HttpVariables = Readonly<Record<string, string | undefined>>;

export interface HttpClientOptions {
  readonly variables: HttpVariables;
  readonly signal: AbortSignal;
  /** Attempts in a row without progress before a failure counts; default 4. */
  readonly attempts?: number | undefined;
  /** Milliseconds for which a connection may stand still; default 30 seconds. */
  readonly idleTimeout?: number | undefined;
  /** Milliseconds before the second attempt, doubled each time; default 500. */
  readonly firstPause?: number | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Rejects with a {@link Transient} where the connection breaks. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): void;
}

/** A failure that may pass. What leaves the client is `failure`. */
export class Transient extends Error {
  readonly failure: ApkError;
  /** Milliseconds that the server asked to wait. */
  readonly after: number | undefined;

  constructor(failure: ApkError, after?: number) {
    super(failure.message);
    this.failure = failure;
    this.after = after;
  }
}

/** Gets over http and https, through proxies, with credentials for their hosts alone. */
export interface HttpClient {
  /** One attempt, redirects followed. 429 and server errors reject with {@link Transient}; other statuses are the caller's. */
  get(url: URL, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
  /** Does it again after failures that may pass, after pauses; `progressed` has the attempts count anew. */
  retrying<T>(work: (progressed: () => void) => Promise<T>): Promise<T>;
  close(): void;
}

const mostRedirects = 5;
const longestPause = 20_000;
/** A server that asks for more than this is not waited for. */
const longestRetryAfter = 60_000;

export function httpClient(options: HttpClientOptions): HttpClient {
  const { signal, variables, attempts = 4, idleTimeout = 30_000, firstPause = 500 } = options;
  const authorization: AuthorizationFor = authorizations(variables.HTTP_AUTH);
  let agents: Promise<{ readonly direct: Dispatcher; readonly proxied: Dispatcher }> | undefined;

  const get = async (start: URL, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> => {
    agents ??= openAgents(variables, idleTimeout);
    const { direct, proxied } = await agents;
    let url = start;
    for (let hops = 0; ; hops++) {
      const own = authorization(url) ?? (url.origin === start.origin ? authorization(start) : undefined);
      const answer = await (isLoopback(url) ? direct : proxied)
        .request({
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method: "GET",
          headers: {
            "user-agent": "melange2",
            "accept-encoding": "identity",
            ...headers,
            ...(own === undefined ? {} : { authorization: own }),
          },
          signal,
          headersTimeout: idleTimeout,
          bodyTimeout: idleTimeout,
        })
        .catch((error: unknown) => {
          throw signal.aborted ? signal.reason : unreachable(url, error, proxyVariable(url, variables));
        });
      const { statusCode: status } = answer;
      const location = one(answer.headers.location);
      if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) {
        discard(answer);
        if (hops === mostRedirects || !URL.canParse(location, url.href)) throw refused(url, "leads in a circle");
        const next = new URL(location, url);
        if (next.protocol !== "https:" && (next.protocol !== "http:" || url.protocol === "https:"))
          throw refused(url, `leads to ${next.protocol}`);
        url = next;
        continue;
      }
      if (status === 429 || status === 408 || status >= 500) {
        discard(answer);
        const failure = new ApkError("unavailable", `${shownUrl(url)} answers ${status}`, { hint: tryLater });
        throw new Transient(failure, retryAfter(one(answer.headers["retry-after"])));
      }
      return {
        status,
        headers: answer.headers,
        body: bodyOf(answer, url, signal),
        discard: () => discard(answer),
      };
    }
  };

  return {
    get,
    async retrying(work) {
      let failed = 0;
      for (;;) {
        try {
          return await work(() => {
            failed = 0;
          });
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof Transient)) throw error;
          failed += 1;
          if (failed >= attempts || (error.after ?? 0) > longestRetryAfter) throw afterAttempts(error.failure, failed);
          const pause = Math.max(error.after ?? 0, Math.min(firstPause * 2 ** (failed - 1), longestPause));
          await delay(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
        }
      }
    },
    close() {
      // Where there are no agents, whoever asked for something was told why.
      agents?.then(({ direct, proxied }) => Promise.all([direct.destroy(), proxied.destroy()])).catch(() => {});
    },
  };
}

/** undici takes a tenth of a second to load: nobody who needs no network does. */
async function openAgents(variables: HttpVariables, idleTimeout: number) {
  const { Agent, EnvHttpProxyAgent } = await import("undici");
  const pool = { connections: 8, connect: { timeout: idleTimeout } };
  const proxy = (name: "HTTP_PROXY" | "HTTPS_PROXY"): string => {
    const value = variables[name.toLowerCase()] || variables[name];
    if (!value) return "";
    const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
    if (URL.canParse(text) && /^(?:https?|socks5?):$/.test(new URL(text).protocol)) return text;
    throw new ApkError("repository", `${name} is not the address of a proxy`, {
      hint: `Set ${name} to http://HOST:PORT, or unset it.`,
    });
  };
  const noProxy = variables.no_proxy || variables.NO_PROXY || "";
  return {
    direct: new Agent(pool),
    // Empty texts keep the agent from looking at this process's own variables.
    proxied: new EnvHttpProxyAgent({
      ...pool,
      httpProxy: proxy("HTTP_PROXY"),
      httpsProxy: proxy("HTTPS_PROXY"),
      noProxy,
      proxyTunnel: false,
    }),
  };
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

async function* bodyOf({ body }: Dispatcher.ResponseData, url: URL, signal: AbortSignal): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk as Uint8Array;
  } catch (error) {
    throw signal.aborted ? signal.reason : unreachable(url, error);
  }
}

function discard({ body }: Dispatcher.ResponseData): void {
  body.on("error", () => {});
  body.dump({ limit: 64 << 10 }).catch(() => {});
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** Seconds or a date, as milliseconds from now. */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const milliseconds = /^[0-9]+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined;
}

const tryLater = "Try again later, or build with --offline from what the cache has.";

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the name server does not answer",
  UND_ERR_CONNECT_TIMEOUT: "it does not answer",
  UND_ERR_HEADERS_TIMEOUT: "it does not answer",
  UND_ERR_BODY_TIMEOUT: "it has stopped sending",
  UND_ERR_SOCKET: "it has closed the connection",
  ECONNRESET: "it has closed the connection",
};

/** The variable that names a proxy for an address, if one does. `NO_PROXY` may except the address. */
function proxyVariable(url: URL, variables: HttpVariables): string | undefined {
  if (isLoopback(url)) return undefined;
  const names = url.protocol === "https:" ? ["https_proxy", "HTTPS_PROXY"] : [];
  return [...names, "http_proxy", "HTTP_PROXY"].find((name) => variables[name]);
}

function unreachable(url: URL, error: unknown, proxy?: string): Transient {
  const { code = "", message = "" } = error as { readonly code?: string; readonly message?: string };
  const why = words[code] ?? printable(code || message);
  return new Transient(
    new ApkError("unavailable", `${shownUrl(url)} cannot be fetched: ${why}`, {
      hint: `Check the repository's address and ${proxy ? `the proxy that ${proxy} names` : "the network"}, or build with --offline from what the cache has.`,
      cause: error,
    }),
  );
}

function refused(url: URL, why: string): ApkError {
  return new ApkError("unavailable", `${shownUrl(url)} ${why}`, { hint: "Ask whoever runs the repository." });
}

function afterAttempts(failure: ApkError, attempts: number): ApkError {
  if (attempts === 1) return failure;
  const { code, message, hint } = failure;
  return new ApkError(code, `${message} (${attempts} attempts)`, { hint, cause: failure });
}
