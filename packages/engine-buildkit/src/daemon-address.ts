import { readFileSync } from "node:fs";
import { parseAddress, type TlsOptions, type Transport } from "@melange2/buildkit-client";
import type { EngineContext } from "@melange2/core";
import { translated, usageError } from "./foreign-errors.ts";
import { type BuildkitOptions, buildkitOptions } from "./options.ts";

const defaultAddress = "unix:///run/buildkit/buildkitd.sock";

/**
 * The way to the daemon: option `buildkit-addr`, else BUILDKIT_HOST, else buildkitd's usual socket; certificates by `buildkit-tls-ca`,
 * `-cert`, `-key` (PEM files) and `buildkit-tls-server-name`. Opens nothing. Throws code `usage`.
 */
export function daemonTransport(context: Pick<EngineContext<BuildkitOptions>, "env" | "options">): Transport {
  const address =
    context.options["buildkit-addr"] || context.env[buildkitOptions["buildkit-addr"].env] || defaultAddress;
  const tls = tlsOptions(context.options);
  try {
    return parseAddress(address, tls === undefined ? {} : { tls });
  } catch (error) {
    throw translated(error, "--buildkit-addr", "usage");
  }
}

function tlsOptions(options: BuildkitOptions): TlsOptions | undefined {
  const serverName = options["buildkit-tls-server-name"];
  const given = {
    ...pem(options, "ca"),
    ...pem(options, "cert"),
    ...pem(options, "key"),
    ...(serverName === undefined ? {} : { serverName }),
  };
  if (Object.keys(given).length === 0) return undefined;
  if ((given.cert === undefined) !== (given.key === undefined)) {
    const [has, lacks] = given.cert === undefined ? ["key", "cert"] : ["cert", "key"];
    throw usageError(`--buildkit-tls-${has} was given without --buildkit-tls-${lacks}`, "Give both, or neither.");
  }
  return given;
}

function pem(options: BuildkitOptions, name: "ca" | "cert" | "key"): { ca?: string; cert?: string; key?: string } {
  const path = options[`buildkit-tls-${name}`];
  if (path === undefined) return {};
  try {
    return { [name]: readFileSync(path, "utf8") };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw usageError(`--buildkit-tls-${name} ${path} cannot be read (${code})`, "Name a PEM file.", error);
  }
}
