import { existsSync } from "node:fs";
import type { CacheMount } from "@melange2/core";
import type { Host, Tool } from "./host.ts";
import { fileOptions, mountTable } from "./mount-table.ts";
import { type OverlayDirectories, overlayOptions } from "./overlay-options.ts";
import type { SessionDirectory } from "./session-directory.ts";
import { shellQuote, shellWords } from "./shell-quote.ts";
import { walkText } from "./walk-text.ts";

/** A root to be made: what is below, where changes go, what is mounted into it. */
export interface RootPlan {
  readonly directories: OverlayDirectories;
  readonly network: "host" | "none";
  readonly mounts: readonly Pick<CacheMount, "source" | "target">[];
  /** A directory of its own that becomes its /dev: see `makeDeviceDirectory`. */
  readonly devices: string;
  /** A folder with device nodes of the session's own; undefined: the host's are seen. */
  readonly nodes: string | undefined;
  /** Name for a file, where nothing is yet, for the table of mounts. */
  readonly table: string;
  /** Whether standard input of process 1 is a terminal that is to be the sandbox's console. */
  readonly console?: boolean;
  /** Give the layer's root directory owner and mode of the one below: a layer's root becomes the image's `/`. */
  readonly adoptRootFrom?: string | undefined;
  /** Names for files, where nothing is yet: each will hold a user namespace for one {@link nestedCommand}. */
  readonly nested?: readonly string[];
}

/** What process 1 says on descriptor 3, one line each; {@link parseReport} reads it. */
export type Report =
  | { readonly event: "ready" }
  /** A mount point that the environment did not have, by its path from the root: the layer must not keep it. */
  | { readonly event: "placed"; readonly path: string }
  | { readonly event: "start"; readonly step: number }
  | { readonly event: "end"; readonly step: number; readonly code: number };

export function parseReport(line: string): Report | undefined {
  const [event, step, code] = line.split(" ");
  if (event === "ready") return { event };
  if (event === "placed") return { event, path: line.slice("placed ".length) };
  if (event === "start") return { event, step: Number(step) };
  if (event === "end") return { event, step: Number(step), code: Number(code) };
  return undefined;
}

/**
 * Shell text for process 1 of fresh namespaces: mounts the overlay, makes a root of it and moves it over `/`. Process 1 keeps
 * the host's root as its own, which is where it finds its tools; what it starts in the sandbox goes through chroot.
 * Whatever fails in here is the engine's failure, not a step's.
 */
export function bootText(host: Host, session: SessionDirectory, plan: RootPlan): string {
  const mount = shellQuote(host.tool("mount"));
  const etc: Readonly<Record<string, string>> = {
    hosts: plan.network === "host" ? "/etc/hosts" : `${session.path}/hosts`,
    ...(plan.network === "host" && existsSync("/etc/resolv.conf") ? { "resolv.conf": "/etc/resolv.conf" } : {}),
  };
  const { devices, nodes } = plan;
  const table = mountTable(host, { root: session.mountPoint, devices, nodes, etc });
  const lines = [
    ...overlayText(host, session, plan.directories, plan.adoptRootFrom),
    placeText(host),
    walkText(shellQuote(host.tool("readlink"))),
    'for name in dev proc sys; do place -d "$name"; done',
    `table=${shellQuote(table.kernel)}`,
    ...etcText(mount, etc, table.etc),
    `printf %s "$table" >${shellQuote(plan.table)}`,
    `${mount} -n -a -T ${shellQuote(plan.table)}`,
    ...plan.mounts.flatMap((one) => bindText(mount, one)),
    ...(plan.console === true ? [": >dev/console", `${mount} -n --bind /proc/self/fd/0 dev/console`] : []),
    ...(plan.network === "none" ? [`${shellQuote(host.tool("ip"))} link set lo up`] : []),
    ...(plan.nested === undefined || plan.nested.length === 0 ? [] : nestedText(host, plan.nested)),
    `${mount} -n --move . /`,
    "echo ready >&3",
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * Defines `place -d|-f NAME`: where the current directory has no such directory or file, but nothing, a link or something else, `place` makes one
 * to mount on. A link there would lead the mount out of the root. What is made hides the environment's own only until the layer is kept.
 */
function placeText(host: Host): string {
  return `root=$PWD
place() {
  if [ "$1" "./$2" ] && [ ! -L "./$2" ]; then return; fi
  if [ -e "./$2" ] || [ -L "./$2" ]; then ${shellQuote(host.tool("rm"))} -rf -- "./$2"; fi
  if [ "$1" = -d ]; then mkdir "./$2"; else : >"./$2"; fi
  echo "placed \${PWD#"$root"}/$2" >&3
}`;
}

/** The environment's /etc may be a link, or be missing: the files are mounted where a process inside will look for them. */
function etcText(mount: string, etc: Readonly<Record<string, string>>, table: string): readonly string[] {
  const files = Object.entries(etc);
  return [
    "if [ -d etc ] && [ ! -L etc ]; then",
    "  cd etc",
    ...files.map(([name]) => `  place -f ${name}`),
    '  cd "$root"',
    `  table=$table${shellQuote(table)}`,
    "else",
    // Where there is nothing, or a link that leads nowhere, a folder takes its place.
    '  absent() { cd "$root"; place -d etc; rest=; cd -P ./etc; }',
    "  circle() { absent; }",
    "  walk etc",
    ...files.flatMap(([name, source]) => [
      `  place -f ${name}`,
      `  ${mount} -n -o ${fileOptions} -- ${shellQuote(source)} "$PWD/${name}"`,
    ]),
    '  cd "$root"',
    "fi",
  ];
}

/** Shell text that leaves the shell in the root of a mounted overlay, which only its namespace sees. */
export function overlayText(
  host: Host,
  session: SessionDirectory,
  directories: OverlayDirectories,
  adoptRootFrom?: string,
): readonly string[] {
  const { upper } = directories;
  return [
    "set -eu",
    "umask 022",
    'refuse() { echo "$1" >&2; exit 70; }',
    `cd ${shellQuote(session.layers)}`,
    ...(adoptRootFrom === undefined || upper === undefined
      ? []
      : [`${shellQuote(host.tool("chown"))} --reference=${adoptRootFrom} ${upper.files}`]),
    `${shellQuote(host.tool("mount"))} -n -t overlay -o ${overlayOptions(host, directories)} overlay ${shellQuote(session.mountPoint)}`,
    `cd ${shellQuote(session.mountPoint)}`,
  ];
}

/** A mount point is looked up name by name, so that no link of the environment leads to a place on the host. Only what lies inside is made. */
function bindText(mount: string, bind: Pick<CacheMount, "source" | "target">): readonly string[] {
  const no = (why: string) => `refuse ${shellQuote(`the mount point ${bind.target} ${why}`)}`;
  return [
    `absent() { if [ -e "./$1" ]; then ${no("lies below what is no folder in this environment")}; fi; mkdir "./$1"; cd -P "./$1"; }`,
    `circle() { ${no("leads round in a circle through links")}; }`,
    `walk ${shellQuote(bind.target)}`,
    `${mount} -n --bind -o nosuid,nodev -- ${shellQuote(bind.source)} "$PWD"`,
    'cd "$root"',
  ];
}

/** One step for {@link stepsText}: the words that run it, and where its output goes. */
export interface StepProcess {
  readonly argv: readonly string[];
  /** Whether it reads secrets on descriptor 4. */
  readonly secrets: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Shell text that runs steps one after another in one process tree, up to the first that fails. What they leave running ends with process 1. */
export function stepsText(steps: readonly StepProcess[]): string {
  const calls = steps.map(({ argv, secrets, stdout, stderr }, index) => {
    const words = `step ${index} ${shellQuote(stdout)} ${shellQuote(stderr)} ${shellWords(argv)}`;
    const { redirection, body } = inputOf(secrets);
    return `${words}${redirection}${body}\n`;
  });
  return `step() {
  index=$1 out=$2 err=$3 code=0
  shift 3
  echo "start $index" >&3
  "$@" </dev/null >"$out" 2>"$err" 3>&- || code=$?
  echo "end $index $code" >&3
  [ "$code" = 0 ] || exit 0
}
${calls.join("")}`;
}

/** Shell text that takes the secrets from descriptor 4, where Node writes them, into a variable of process 1 that no program sees. */
export const secretsText = (host: Host): string => `secrets=$(${shellQuote(host.tool("cat"))} <&4)\nexec 4<&-\n`;

/** Gives a command these secrets on its descriptor 4: `redirection` is one of its words, `body` follows the line that the command is on. */
const secretsInput = { redirection: " 4<<MELANGE2_SECRETS", body: "\n$secrets\nMELANGE2_SECRETS" };
const noInput = { redirection: "", body: "" };

/** What a command gets of the secrets. */
export const inputOf = (readsSecrets: boolean): typeof secretsInput => (readsSecrets ? secretsInput : noInput);

/** Shell words before a command that is to run in one more user namespace: this, and the file that holds it. */
export const nestedCommand = "nested";

/**
 * Makes one more user namespace with the same ids for each step that needs one, and defines `nested`, which runs a command in
 * it with a mount namespace of its own. Mounts copied into that are locked together, so no capability there can take the root
 * away and bare the host's. The kernel refuses a new user namespace once the root has moved, so a file holds it from before;
 * the process that it was made for must be gone by then, since its root is the host's and a step could look through it.
 */
function nestedText(host: Host, files: readonly string[]): readonly string[] {
  const tool = (name: Tool) => shellQuote(host.tool(name));
  return [
    'hold() { : >"$1"',
    `${tool("mkfifo")} -m 600 "$1.up"`,
    `${tool("unshare")} -U -- /bin/sh -c 'echo >"$1"; exec "$2" infinity' sh "$1.up" ${tool("sleep")} 3>&- &`,
    "holder=$!",
    'read -r _ <"$1.up"',
    "for map in uid_map gid_map; do lines=",
    'while read -r first _ count; do lines="$lines$first $first $count',
    '"; done <"proc/self/$map"; printf %s "$lines" >"proc/$holder/$map"; done',
    `${tool("mount")} -n --bind "proc/$holder/ns/user" "$1"`,
    'kill -KILL "$holder"; wait "$holder" 2>/dev/null || :; }',
    `nested() { file=$1; shift; ${tool("nsenter")} "--user=$file" --preserve-credentials -- ${tool("unshare")} -m --propagation slave -- "$@"; }`,
    ...files.map((file) => `hold ${shellQuote(file)}`),
  ];
}
