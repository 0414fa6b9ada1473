import { resolve } from "node:path";
import type { EngineChoice } from "@melange2/build";
import { MelangeError } from "@melange2/core";

/** The flags of engines, each named for the engine that it is for. */
export interface EngineFlagValues {
  readonly engine: string;
  readonly "buildkit-addr"?: string | undefined;
  readonly "buildkit-tls-ca"?: string | undefined;
  readonly "buildkit-tls-cert"?: string | undefined;
  readonly "buildkit-tls-key"?: string | undefined;
  readonly "buildkit-tls-server-name"?: string | undefined;
}

const files = ["buildkit-tls-ca", "buildkit-tls-cert", "buildkit-tls-key"] as const;
const texts = ["buildkit-addr", "buildkit-tls-server-name"] as const;

/**
 * What the flags say of the engine, and those that are for another one. Throws code `usage` where there are such flags and the engine is only the
 * default: whoever gives an address of BuildKit and names no engine means BuildKit. What BUILDKIT_HOST says is for whoever asks.
 * @param named Whether the user named the engine.
 */
export function engineRequest(
  flags: EngineFlagValues,
  named: boolean,
  env: NodeJS.ProcessEnv,
): EngineChoice & { readonly idle: readonly string[] } {
  const given = {
    ...Object.fromEntries(texts.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]]))),
    ...Object.fromEntries(files.flatMap((name) => (flags[name] === undefined ? [] : [[name, resolve(flags[name])]]))),
  };
  const ofEngine = (name: string) => name.startsWith(`${flags.engine}-`);
  const strangers = Object.keys(given).filter((name) => !ofEngine(name));
  const [stranger] = strangers;
  if (stranger !== undefined && !named) {
    const engine = stranger.split("-", 1)[0];
    throw new MelangeError("usage", `--${stranger} is not for the engine "${flags.engine}"`, {
      hint: `Add --engine ${engine}, or leave it out.`,
    });
  }
  const fromEnvironment = env.BUILDKIT_HOST ? { "buildkit-addr": env.BUILDKIT_HOST } : {};
  const options = { ...fromEnvironment, ...given };
  return {
    name: flags.engine,
    idle: strangers.map((name) => `--${name}`),
    options: Object.fromEntries(Object.entries(options).filter(([name]) => ofEngine(name))),
  };
}
