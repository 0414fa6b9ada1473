import type { Step } from "@melange2/core";
import { nestedCommand } from "./boot-script.ts";
import { type Bounding, boundingSet } from "./capabilities.ts";
import { enterText } from "./enter-text.ts";
import type { Host } from "./host.ts";

/** A command in the sandbox, as the root inside sees it. */
export interface InsideCommand {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Names of secrets; their values come over a descriptor, since an argv would show them. */
  readonly secretEnv: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number };
  readonly capabilities: Step["capabilities"];
  /** The file that will hold a user namespace of this command's own, should it need one. */
  readonly nestedIn: string;
  /** Whether it needs one for the sake of the processes beside it. */
  readonly apart: boolean;
  /** The words that start a shell in the environment. Default: `/bin/sh`. */
  readonly shell?: readonly string[];
}

/**
 * The words that process 1 runs, standing in the new root, for a command inside. The host's programs take the capabilities away and change the
 * root and the user; to them the rest is a program's argv, which they never look at. Everything of the command enters past the change of
 * root, through the environment's own shell: see {@link enterText}.
 */
export function insideWords(host: Host, command: InsideCommand): readonly string[] {
  const bounding = boundingSet(command.capabilities);
  return [
    ...(needsOwnNamespace(host, command, bounding) ? [nestedCommand, command.nestedIn] : []),
    ...enteringWords(host, command, bounding),
    ...enteredWords(command),
  ];
}

/**
 * Who is user 1000 on the host may look into processes of user 1000 in a sandbox of root's, unless these are in a user namespace of their own,
 * which also gives them keyrings of their own. In an ordinary user's sandbox every process is that user's already.
 */
function needsOwnNamespace(host: Host, command: InsideCommand, bounding: Bounding): boolean {
  // Root makes device nodes nowhere but in the host's own user namespace; who may not make any has nothing to lose.
  const loses = command.user.uid === 0 && !bounding.dropped.includes("mknod");
  return bounding.nested || command.apart || (host.mapping === "root" && !loses);
}

/** The program that changes the root must be able to: where the step may not, one program does all, and loses the capabilities last. */
function enteringWords(
  host: Host,
  { user, shell = ["/bin/sh"] }: InsideCommand,
  bounding: Bounding,
): readonly string[] {
  if (!bounding.takesEntry)
    return [
      host.tool("setpriv"),
      "--bounding-set",
      bounding.set,
      host.tool("chroot"),
      ...(host.mapping === "single" ? [] : [`--userspec=+${user.uid}:+${user.gid}`, `--groups=+${user.gid}`]),
      ".",
      ...shell,
    ];
  const become = [`--groups=${user.gid}`, `--gid=${user.gid}`, `--uid=${user.uid}`];
  return [
    host.tool("capsh"),
    "--chroot=.",
    `--drop=${bounding.dropped.map((name) => `cap_${name}`).join(",")}`,
    // With one uid mapped there is no other user to be: the step is root inside, who is the user outside.
    ...(host.mapping === "single" ? [] : become),
    `--shell=${shell[0]}`,
    "--",
    ...shell.slice(1),
  ];
}

function enteredWords({ env, secretEnv, argv }: InsideCommand): readonly string[] {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const way = Object.keys(env).every(isPlainName) ? "export" : "env";
  const secrets = secretEnv.length === 0 ? "" : secretEnv.join(" ");
  return ["-c", enterText, "sh", secrets, way, String(variables.length), ...variables, ...argv];
}

/** Names that shells act upon, change or refuse to set: these go through the environment's `env`. */
const shellsOwn =
  /^(?:_.*|IFS|ENV|PWD|OLDPWD|SHLVL|OPTIND|OPTARG|OPTERR|LINENO|RANDOM|SRANDOM|SECONDS|EPOCH.*|[EU]?UID|[EP]?PID|PPID|GROUPS|FUNC.*|HIST.*|DIRSTACK|SHELLOPTS|BASH.*|COMP.*|LC_.*|LANG|LANGUAGE|POSIXLY_CORRECT|PS\d|MAIL.*|TMOUT|FIGNORE|GLOBIGNORE|IGNOREEOF)$/;

function isPlainName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !shellsOwn.test(name);
}

/** The lines that {@link enterText} reads on descriptor 4: each secret as `NAME LINES` and so many lines, and `. 0` at the end. */
export function secretLines(secrets: Readonly<Record<string, string>>): string {
  const all = Object.entries(secrets).map(([name, value]) => {
    const lines = value.split("\n");
    return `${name} ${lines.length}\n${lines.join("\n")}\n`;
  });
  return `${all.join("")}. 0\n`;
}

/** Longest argument and longest variable, in bytes with the NUL at its end: MAX_ARG_STRLEN of the kernel. */
const longestWord = 128 * 1024;

/** Whether a word of an argv is one that the kernel takes. */
export function isShortWord(word: string): boolean {
  return Buffer.byteLength(word) < longestWord;
}
