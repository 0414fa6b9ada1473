import { connect, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { opened, type Transport } from "./transport.ts";

/** PEM texts. With `cert` and `key` the daemon can tell who calls. */
export interface TlsOptions {
  /** The authority that signed the daemon's certificate; the system's authorities if it is missing. */
  readonly ca?: string | Uint8Array;
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  /** The name in the daemon's certificate, where it is not the host. */
  readonly serverName?: string;
}

export interface TcpOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsOptions;
}

/** A buildkitd that listens on TCP. */
export function tcpTransport({ host, port, tls }: TcpOptions): Transport {
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    address: `tcp://${place}`,
    attempt:
      tls === undefined ? `${place} without TLS` : `${place} with TLS${tls.cert ? " and a client certificate" : ""}`,
    advice:
      tls === undefined
        ? "Check host and port, that buildkitd listens there, and whether it wants TLS."
        : "Check host and port, that the certificate authority is the one of the daemon, and that the daemon trusts yours.",
    async dial(signal) {
      if (tls === undefined) return opened(connect({ host, port, noDelay: true }), "connect", signal);
      const serverName = tls.serverName ?? host;
      const socket = connectTls({
        host,
        port,
        ALPNProtocols: ["h2"],
        ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
        ...pem("ca", tls.ca),
        ...pem("cert", tls.cert),
        ...pem("key", tls.key),
      });
      socket.setNoDelay(true);
      return opened(socket, "secureConnect", signal);
    },
  };
}

function pem<K extends string>(key: K, value: string | Uint8Array | undefined): { [P in K]?: string | Buffer } {
  if (value === undefined) return {};
  return { [key]: typeof value === "string" ? value : Buffer.from(value) } as { [P in K]: string | Buffer };
}
