import { RegistryError } from "./error.ts";

/** The proxies that requests go through, as URLs. None is used for this machine's own loopback addresses. */
export interface Proxies {
  /** For http. */
  readonly http?: string | undefined;
  /** For https. Default: that for http. */
  readonly https?: string | undefined;
  /** Hosts that are reached without a proxy: names, with all below them, with or without a port, separated by commas or blanks; `*` for all. */
  readonly except?: string | undefined;
}

/**
 * What `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say, or their names in small letters, which come first, as in curl.
 * Throws code `proxy` for what is no URL of http, https or socks5. A proxy without a scheme is one of http.
 */
export function proxiesOf(env: Readonly<Record<string, string | undefined>>): Proxies {
  return {
    http: proxyUrl("HTTP_PROXY", env.http_proxy || env.HTTP_PROXY),
    https: proxyUrl("HTTPS_PROXY", env.https_proxy || env.HTTPS_PROXY),
    except: env.no_proxy || env.NO_PROXY || undefined,
  };
}

/** What undici's agent takes. An empty text keeps the agent from looking at this process's own variables. */
export function proxyAgentOptions({ http, https, except }: Proxies) {
  return { httpProxy: http ?? "", httpsProxy: https ?? "", noProxy: except ?? "", proxyTunnel: false };
}

/** The value is not part of the message: it may hold a password. */
function proxyUrl(variable: string, value: string | undefined): string | undefined {
  if (!value) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  if (URL.canParse(text) && /^(https?|socks5?):$/.test(new URL(text).protocol)) return text;
  throw new RegistryError("proxy", `${variable} is not the address of a proxy`, {
    hint: `Set ${variable} to http://HOST:PORT, or unset it.`,
  });
}
