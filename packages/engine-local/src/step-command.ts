import type { Step } from "@melange2/core";
import { nestedCommand } from "./boot-script.ts";
import { boundingSet } from "./capabilities.ts";
import { engineError } from "./foreign-errors.ts";
import type { Host } from "./host.ts";

/** A command in the sandbox, as the root inside sees it. */
export interface InsideCommand {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Names in the launcher's own environment that stay: secrets, which must not appear in any argv. */
  readonly secretEnv: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number };
  readonly capabilities: Step["capabilities"];
  /** The file that will hold a user namespace of this command's own, should its capabilities need one. */
  readonly nestedIn: string;
}

/** Variables of shells that are no one's; the launcher's own are known. */
const shellLeftovers = ["PWD", "OLDPWD", "SHLVL", "_"] as const;

/** Variables that change how any dynamically linked program starts: they may take effect only past the chroot. */
const loaderVariable = /^(?:LD_|GLIBC_TUNABLES$)/;

const exportThenRun = 'while [ "$1" != -- ]; do export "$1"; shift; done; shift; exec "$@"';

/**
 * The words that process 1 runs, standing in the new root, for a command inside: its environment and no other, its
 * capabilities, the root, its user.
 * `launcherSecrets`: names of all secrets in process 1's environment; those the command did not ask for are taken away.
 */
export function insideWords(host: Host, command: InsideCommand, launcherSecrets: readonly string[]): readonly string[] {
  const bounding = boundingSet(command.capabilities);
  const variables = Object.entries(command.env).map(([name, value]) => `${name}=${value}`);
  const late = variables.filter((variable) => loaderVariable.test(variable));
  const early = variables.filter((variable) => !loaderVariable.test(variable));
  return [
    ...(bounding.nested ? [nestedCommand, command.nestedIn] : []),
    host.tool("env"),
    ...environmentWords(host, command, launcherSecrets),
    ...early,
    host.tool("setpriv"),
    "--bounding-set",
    bounding.set,
    host.tool("chroot"),
    ...userWords(host, command.user),
    ".",
    ...(late.length === 0 ? [] : ["/bin/sh", "-c", exportThenRun, "sh", ...late, "--"]),
    ...command.argv,
  ];
}

/** `env -i` where it can be; with secrets, which an argv would show, everything else is taken away by name. */
function environmentWords(host: Host, command: InsideCommand, launcherSecrets: readonly string[]): readonly string[] {
  if (command.secretEnv.length === 0) return ["-i"];
  const others = launcherSecrets.filter((name) => !command.secretEnv.includes(name));
  const gone = [...Object.keys(host.helperEnv), ...shellLeftovers, ...others];
  return gone.filter((name) => !command.secretEnv.includes(name)).flatMap((name) => ["-u", name]);
}

/** With one uid mapped there is no other user to be: the step is root inside, who is the user outside. */
function userWords(host: Host, user: InsideCommand["user"]): readonly string[] {
  return host.mapping === "single" ? [] : [`--userspec=+${user.uid}:+${user.gid}`, `--groups=+${user.gid}`];
}

/** Names that cannot be handed to a process without changing how the launcher itself works. */
export function refuseLauncherNames(host: Host, names: readonly string[]): void {
  const bad = names.find(
    (name) => name in host.helperEnv || loaderVariable.test(name) || name === "ENV" || name === "IFS",
  );
  if (bad === undefined) return;
  throw engineError(
    `a secret cannot be called ${bad}`,
    "give it another name and set the variable from it in the step",
  );
}
