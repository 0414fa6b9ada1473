import { collect } from "@melange2/oci";
import { refusal } from "./answers.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials, CredentialsFor } from "./credentials.ts";
import { RegistryError } from "./error.ts";
import { fromOciError } from "./oci-errors.ts";
import { isLoopback } from "./reference.ts";
import type { Clock } from "./retry.ts";
import type { HttpAnswer, Transport } from "./transport.ts";

/** `repository:team/debug:pull,push`, as the token protocol writes it. */
export type Scope = string;

/** Proves to one registry who asks. Learns from its answers how it wants that, and keeps tokens until they expire. */
export interface Authorization {
  /** The header for a request of these scopes; undefined while the registry has not asked for one. */
  header(scopes: readonly Scope[]): Promise<string | undefined>;
  /** Takes note of a 401 to a request with the header `sent`. False: there is nothing new to try. */
  challenged(answer: HttpAnswer, scopes: readonly Scope[], sent: string | undefined): Promise<boolean>;
  /** Takes everything secret that was used so far out of a text. */
  redact(text: string): string;
}

export interface AuthorizationOptions {
  readonly registry: string;
  /** Where the registry's API is. */
  readonly apiHost: string;
  readonly credentials: CredentialsFor;
  readonly transport: Transport;
  readonly clock: Clock;
}

interface Token {
  readonly value: string;
  /** On the injected clock. */
  readonly expires: number;
}

const clientId = "melange2";
const largestTokenAnswer = 1024 * 1024;
/** The token protocol's default, and how long before its end a token is not used any more; milliseconds. */
const defaultLifetime = 60_000;
const expiryMargin = 10_000;

export function createAuthorization(options: AuthorizationOptions): Authorization {
  const { registry, clock } = options;
  const secrets = new Set<string>();
  const tokens = new Map<string, Token>();
  const pending = new Map<string, Promise<Token>>();
  let challenge: (Challenge & { readonly plain: boolean }) | undefined;
  let credentials: Promise<Credentials | undefined> | undefined;
  let refreshToken: string | undefined;

  const known = async (): Promise<Credentials | undefined> => {
    credentials ??= options.credentials(registry);
    const found = await credentials;
    if (found === undefined) return undefined;
    if ("password" in found) secrets.add(found.password).add(basicHeader(found).slice("Basic ".length));
    else secrets.add(found.identityToken);
    return found;
  };

  const token = async (realm: URL, scopes: readonly Scope[]): Promise<string> => {
    const key = scopes.join(" ");
    const cached = tokens.get(key);
    if (cached !== undefined && cached.expires > clock.now()) return cached.value;
    let request = pending.get(key);
    if (request === undefined) {
      request = fetchToken(realm, scopes).finally(() => pending.delete(key));
      pending.set(key, request);
    }
    const fresh = await request;
    tokens.set(key, fresh);
    return fresh.value;
  };

  const fetchToken = async (realm: URL, scopes: readonly Scope[]): Promise<Token> => {
    const found = await known();
    const identity =
      refreshToken ?? (found !== undefined && "identityToken" in found ? found.identityToken : undefined);
    const service = challenge?.parameters.service;
    const asked = clock.now();
    const answer = await options.transport.send(
      identity === undefined
        ? tokenByGet(realm, service, scopes, found)
        : tokenByRefresh(realm, service, scopes, identity),
    );
    if (answer.status !== 200) {
      throw await refusal(answer, {
        action: `give a token for ${registry}`,
        redact,
        now: clock.now(),
        hint: answer.status === 401 || answer.status === 403 ? loginHint(registry, found !== undefined) : undefined,
      });
    }
    const parsed = await parseToken(answer, registry);
    secrets.add(parsed.token);
    if (parsed.refreshToken !== undefined) {
      secrets.add(parsed.refreshToken);
      refreshToken = parsed.refreshToken;
    }
    return { value: parsed.token, expires: asked + parsed.lifetime - expiryMargin };
  };

  const redact = (text: string): string =>
    [...secrets].filter((secret) => secret !== "").reduce((result, secret) => result.replaceAll(secret, "***"), text);

  const header = async (scopes: readonly Scope[]): Promise<string | undefined> => {
    if (challenge === undefined) return undefined;
    if (challenge.scheme === "bearer") return `Bearer ${await token(realmOf(challenge, options), scopes)}`;
    const found = await known();
    return found !== undefined && "password" in found ? basicHeader(found) : undefined;
  };

  return {
    header,

    async challenged(answer, scopes, sent) {
      const offered = parseChallenges(answer.headers["www-authenticate"] ?? "");
      const wanted =
        offered.find(({ scheme }) => scheme === "bearer") ?? offered.find(({ scheme }) => scheme === "basic");
      if (wanted === undefined) return false;
      challenge = { ...wanted, plain: answer.url.protocol === "http:" };
      const key = scopes.join(" ");
      // The token is no longer good for this, whatever was said of its lifetime; a newer one may be.
      if (sent === `Bearer ${tokens.get(key)?.value}`) tokens.delete(key);
      return (await header(scopes)) !== sent;
    },

    redact,
  };
}

/** What to do when a registry wants other credentials, or any. */
export function loginHint(registry: string, had: boolean): string {
  return had
    ? `Log in again with \`docker login ${registry}\`, with an account that may do this.`
    : `No credentials for ${registry} were found: log in with \`docker login ${registry}\`.`;
}

function basicHeader(credentials: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
}

/**
 * A password goes to the token service: over https, on this machine when the registry is on it too, or to the host of a registry that is
 * itself spoken to in plain http, where it would go in any other scheme.
 */
function realmOf(challenge: Challenge & { readonly plain: boolean }, { registry, apiHost }: AuthorizationOptions): URL {
  const realm = URL.canParse(challenge.parameters.realm ?? "") ? new URL(challenge.parameters.realm ?? "") : undefined;
  if (realm === undefined) {
    throw new RegistryError("protocol", `${registry} wants a token but does not say where to get one`, {
      hint: "The registry's token authentication is misconfigured.",
    });
  }
  const local = isLoopback(realm.host) && isLoopback(apiHost);
  const own = challenge.plain && realm.hostname === new URL(`http://${apiHost}`).hostname;
  if (realm.protocol !== "https:" && !(realm.protocol === "http:" && (local || own))) {
    throw new RegistryError("protocol", `${registry} wants credentials sent to ${realm.host} without encryption`, {
      hint: "A token service must be reached over https: correct the registry's configuration.",
    });
  }
  return realm;
}

function tokenByGet(
  realm: URL,
  service: string | undefined,
  scopes: readonly Scope[],
  credentials: Credentials | undefined,
) {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  url.searchParams.set("client_id", clientId);
  const basic = credentials !== undefined && "password" in credentials;
  if (basic) url.searchParams.set("account", credentials.username);
  const headers: Record<string, string> = basic ? { authorization: basicHeader(credentials) } : {};
  return { method: "GET", url, headers };
}

function tokenByRefresh(realm: URL, service: string | undefined, scopes: readonly Scope[], identityToken: string) {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    refresh_token: identityToken,
    scope: scopes.join(" "),
    client_id: clientId,
    ...(service === undefined ? {} : { service }),
  });
  const content = new TextEncoder().encode(form.toString());
  return {
    method: "POST",
    url: realm,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: {
      size: content.length,
      open: async function* () {
        yield content;
      },
    },
  };
}

async function parseToken(answer: HttpAnswer, registry: string) {
  const content = await collect(answer.body, largestTokenAnswer, `the token service's answer for ${registry}`).catch(
    (error: unknown) => {
      throw fromOciError(error);
    },
  );
  let json: Readonly<Record<string, unknown>>;
  try {
    json = Object(JSON.parse(new TextDecoder().decode(content)));
  } catch {
    json = {};
  }
  const token = json.token ?? json.access_token;
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
    throw new RegistryError("protocol", `the token service of ${registry} answered without a token`, {
      hint: "The registry's token authentication is misconfigured.",
    });
  }
  const lifetime =
    typeof json.expires_in === "number" && json.expires_in > 0 ? json.expires_in * 1000 : defaultLifetime;
  return {
    token,
    lifetime,
    refreshToken: typeof json.refresh_token === "string" && json.refresh_token !== "" ? json.refresh_token : undefined,
  };
}
