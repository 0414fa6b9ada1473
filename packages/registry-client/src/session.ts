import { refusal } from "./answers.ts";
import { createAuthorization, loginHint, type Scope } from "./authorization.ts";
import type { CredentialsFor } from "./credentials.ts";
import { RegistryError } from "./error.ts";
import { isRefused, speaksNoTls } from "./node-errors.ts";
import type { Proxies } from "./proxies.ts";
import { apiHost, isLoopback } from "./reference.ts";
import { type Clock, type RetryPolicy, systemClock } from "./retry.ts";
import { createTransport, type HttpAnswer, type HttpBody, type Tls } from "./transport.ts";

/** How a registry is talked to, for one job. */
export interface SessionOptions {
  /** Ends every call under way and to come; they reject with its reason. */
  readonly signal: AbortSignal;
  readonly tls?: Tls | undefined;
  /** Default: none. */
  readonly proxies?: Proxies | undefined;
  /** Default: anonymous. */
  readonly credentials?: CredentialsFor | undefined;
  /** Attempts in a row without progress before a failure counts; default 5. */
  readonly attempts?: number | undefined;
  /** Milliseconds for which a connection may stand still; default 2 minutes. */
  readonly idleTimeout?: number | undefined;
  readonly clock?: Clock | undefined;
}

export interface SessionRequest {
  readonly method: string;
  /** A path below `/v2/`, or where the registry said to go. */
  readonly to: string | URL;
  readonly scopes: readonly Scope[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpBody | undefined;
  /** Statuses that the caller handles; any other rejects. */
  readonly expect: readonly number[];
  /** For the message: what was not done, after "did not". */
  readonly action: string;
}

/** Authorised requests to one registry. Follows redirects of reads, and of writes where the method stays (307, 308); never sends a credential to another origin. */
export interface Session extends Disposable {
  readonly registry: string;
  readonly policy: RetryPolicy;
  /** One attempt. Rejects with `Transient` where another may help. */
  send(request: SessionRequest): Promise<HttpAnswer>;
  /** Where an answer's Location header points. */
  locationOf(answer: HttpAnswer): URL;
}

const mostRedirects = 5;
/** A redirected write is repeated with its method and body only under 307 and 308 (RFC 9110, 15.4). */
const redirectsOfReads = new Set([301, 302, 303, 307, 308]);
const redirectsOfWrites = new Set([307, 308]);

function isRedirect(method: string, status: number): boolean {
  return (method === "GET" || method === "HEAD" ? redirectsOfReads : redirectsOfWrites).has(status);
}

export function createSession(registry: string, options: SessionOptions): Session {
  const host = apiHost(registry);
  const clock = options.clock ?? systemClock;
  const tls = options.tls ?? {};
  const transport = createTransport({
    ...tls,
    hostname: new URL(`https://${host}`).hostname,
    proxies: options.proxies ?? {},
    idleTimeout: options.idleTimeout ?? 120_000,
    signal: options.signal,
  });
  const authorization = createAuthorization({
    registry,
    apiHost: host,
    credentials: options.credentials ?? (async () => undefined),
    transport,
    clock,
  });
  let base: Promise<URL> | undefined;

  /** TLS first, also where plain http is allowed: a registry that speaks both is spoken to in private. */
  const findBase = async (): Promise<URL> => {
    const secure = new URL(`https://${host}/v2/`);
    const plain = new URL(`http://${host}/v2/`);
    if (tls.plain === true) return plain;
    if (tls.insecure !== true && !isLoopback(host)) return secure;
    try {
      (await transport.send({ method: "GET", url: secure, headers: {} })).discard();
      return secure;
    } catch (error) {
      if (speaksNoTls(error) || (isRefused(error) && (await answersInPlain(plain, secure)))) return plain;
      throw error;
    }
  };

  /** Without a port in the registry's name, TLS and plain http have two ports, and nobody may listen on the first. */
  const answersInPlain = async (plain: URL, secure: URL): Promise<boolean> => {
    if (plain.port !== "" || secure.port !== "") return false;
    try {
      (await transport.send({ method: "GET", url: plain, headers: {} })).discard();
      return true;
    } catch {
      return false;
    }
  };

  const baseUrl = (): Promise<URL> => {
    base ??= findBase().catch((error: unknown) => {
      base = undefined;
      throw error;
    });
    return base;
  };

  const next = (answer: HttpAnswer): URL => {
    const location = answer.headers.location;
    if (location === undefined || !URL.canParse(location, answer.url.href)) {
      throw protocol(`${answer.url.host} answered without a usable Location`);
    }
    const url = new URL(location, answer.url);
    if (url.protocol !== "https:" && (url.protocol !== "http:" || answer.url.protocol === "https:")) {
      throw protocol(`${answer.url.host} leads from https to ${url.protocol}//${url.host}`);
    }
    return url;
  };

  return {
    registry,
    policy: { attempts: options.attempts ?? 5, clock, signal: options.signal },
    locationOf: next,

    async send(request) {
      const root = await baseUrl();
      const start = request.to instanceof URL ? request.to : new URL(request.to, root);
      let url = start;
      let renewed = false;
      let hops = 0;
      for (;;) {
        const own = url.origin === root.origin;
        const header = own ? await authorization.header(request.scopes) : undefined;
        const answer = await transport.send({
          method: request.method,
          url,
          headers: {
            "user-agent": "melange2",
            ...request.headers,
            ...(header === undefined ? {} : { authorization: header }),
          },
          body: request.body,
        });
        if (request.expect.includes(answer.status)) return answer;
        if (
          answer.status === 401 &&
          own &&
          !renewed &&
          (await authorization.challenged(answer, request.scopes, header))
        ) {
          answer.discard();
          renewed = true;
          continue;
        }
        if (isRedirect(request.method, answer.status)) {
          answer.discard();
          hops += 1;
          if (hops > mostRedirects) throw protocol(`${start.host} redirects more than ${mostRedirects} times`);
          url = next(answer);
          continue;
        }
        throw await refusal(answer, {
          action: request.action,
          redact: authorization.redact,
          now: clock.now(),
          hint: own && answer.status === 401 ? loginHint(registry, header !== undefined) : undefined,
        });
      }
    },

    [Symbol.dispose]() {
      transport[Symbol.dispose]();
    },
  };
}

function protocol(message: string): RegistryError {
  return new RegistryError("protocol", message, {
    hint: "The registry, or a proxy before it, is misconfigured.",
  });
}
