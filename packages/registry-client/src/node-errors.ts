import { isRegistryError, RegistryError } from "./error.ts";
import { Transient } from "./retry.ts";

const untrusted = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

function isTlsFailure(code: string): boolean {
  return code === "EPROTO" || code.startsWith("ERR_SSL_");
}

/** Whether what failed with this error was TLS spoken to somebody who answers something else. An alert is said in TLS. */
export function speaksNoTls(error: unknown): boolean {
  if (!isRegistryError(error) || error.code !== "tls") return false;
  const { code = "" } = error.cause as { code?: string };
  return isTlsFailure(code) && !isTlsAlert(error.cause);
}

/** Whether nobody listens where the connection went. A name with several addresses has an error for each. */
export function isRefused(error: unknown): boolean {
  if (!(error instanceof Transient)) return false;
  const { code, errors = [] } = error.failure.cause as { code?: string; errors?: readonly { code?: string }[] };
  return [code, ...errors.map((each) => each.code)].includes("ECONNREFUSED");
}

/** Node has one code, EPROTO, for most failures of TLS; only OpenSSL's text tells an alert of the other side. */
function isTlsAlert(error: unknown): boolean {
  const { code = "", message = "" } = error as { code?: string; message?: string };
  return /alert/i.test(`${code} ${message}`);
}

/** What undici's codes are called elsewhere. */
const codesOfUndici: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: "ETIMEDOUT",
  UND_ERR_HEADERS_TIMEOUT: "ETIMEDOUT",
  UND_ERR_BODY_TIMEOUT: "ETIMEDOUT",
  UND_ERR_SOCKET: "ECONNRESET",
};

/** The status with which a proxy refused to connect to the host; undici has it in its text only. */
function refusedByProxy(code: string, message: string): number | undefined {
  if (/^Proxy Authentication Required/.test(message)) return 407;
  const status = code === "UND_ERR_ABORTED" ? /^Proxy response \((\d{3})\)/.exec(message)?.[1] : undefined;
  return status === undefined ? undefined : Number(status);
}

/** The one place where errors of node's sockets, TLS and HTTP parser, and undici's, become this package's. `host`: where the request went. */
export function fromNodeError(error: unknown, host: string): RegistryError | Transient {
  const {
    name,
    code: own = "",
    message = "unknown error",
  } = error as { name?: string; code?: string; message?: string };
  const code = codesOfUndici[own] ?? own;
  const status = refusedByProxy(code, message);
  if (status !== undefined) {
    const refusal = new RegistryError("proxy", `the proxy does not connect to ${host}: it answers ${status}`, {
      hint: "Check HTTP_PROXY and HTTPS_PROXY, or name the host in NO_PROXY.",
      status,
      cause: error,
    });
    return status >= 500 ? new Transient(refusal) : refusal;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return new RegistryError("tls", `the certificate of ${host} is for another host`, {
      hint: "Use the name that the certificate was made for.",
      cause: error,
    });
  }
  if (untrusted.has(code)) {
    return new RegistryError("tls", `the certificate of ${host} is not trusted (${code})`, {
      hint: "Name the file of its certificate authority, or allow an insecure registry.",
      cause: error,
    });
  }
  if (isTlsFailure(code)) {
    const what = isTlsAlert(error) ? "refuses the TLS connection" : "does not speak TLS";
    return new RegistryError("tls", `${host} ${what} (${code})`, {
      hint: "If it is a plain http registry that you trust, allow an insecure registry.",
      cause: error,
    });
  }
  if (code === "ENOTFOUND") {
    return new RegistryError("unavailable", `the host ${host} does not exist`, {
      hint: "Check the registry's name and the network's name server.",
      cause: error,
    });
  }
  if (name === "HTTPParserError") {
    return new RegistryError("protocol", `${host} does not answer in HTTP`, {
      hint: "Check that a registry listens on this port.",
      cause: error,
    });
  }
  return new Transient(
    new RegistryError("unavailable", `the connection to ${host} failed: ${code === "" ? message : code}`, {
      hint: "Check that the registry is up and can be reached from here, then try again.",
      cause: error,
    }),
  );
}
