import type { CacheMount } from "@melange2/core";
import type { Host, Tool } from "./host.ts";
import { mountTable } from "./mount-table.ts";
import { type OverlayDirectories, overlayOptions } from "./overlay-options.ts";
import type { SessionDirectory } from "./session-directory.ts";
import { shellQuote, shellWords } from "./shell-quote.ts";

/** A root to be made: what is below, where changes go, what is mounted into it. */
export interface RootPlan {
  readonly directories: OverlayDirectories;
  readonly network: "host" | "none";
  readonly mounts: readonly Pick<CacheMount, "source" | "target">[];
  /** A directory of its own that becomes its /dev: see `makeDeviceDirectory`. */
  readonly devices: string;
  /** Name for a file, where nothing is yet, for the table of mounts. */
  readonly table: string;
  /** A terminal of the host, to be the sandbox's console. */
  readonly console?: string | undefined;
  /** Give the layer's root directory owner and mode of the one below: a layer's root becomes the image's `/`. */
  readonly adoptRootFrom?: string | undefined;
  /** Names for files, where nothing is yet: each will hold a user namespace for one {@link nestedCommand}. */
  readonly nested?: readonly string[];
}

/** What process 1 says on descriptor 3, one line each; {@link parseReport} reads it. */
export type Report =
  | { readonly event: "ready" }
  | { readonly event: "start"; readonly step: number }
  | { readonly event: "end"; readonly step: number; readonly code: number };

export function parseReport(line: string): Report | undefined {
  const [event, step, code] = line.split(" ");
  if (event === "ready") return { event };
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
  const root = shellQuote(session.mountPoint);
  const table = mountTable(host, {
    root: session.mountPoint,
    devices: plan.devices,
    hosts: plan.network === "host" ? "/etc/hosts" : `${session.path}/hosts`,
  });
  const addIfPlain = (path: string, lines: string) => `if plain ${path}; then table=$table${shellQuote(lines)}; fi`;
  const lines = [
    ...overlayText(host, session, plan.directories, plan.adoptRootFrom),
    // A symlink here would lead the mounts below out of the root.
    'for name in dev proc sys etc tmp; do { [ -d "$name" ] && [ ! -L "$name" ]; } || refuse "/$name is no directory in this environment"; done',
    'plain() { [ -f "$1" ] && [ ! -L "$1" ]; }',
    `table=${shellQuote(table.always)}`,
    ...(plan.network === "host" ? [addIfPlain("etc/resolv.conf", table.resolvConf)] : []),
    addIfPlain("etc/hosts", table.hosts),
    `printf %s "$table" >${shellQuote(plan.table)}`,
    `${mount} -n -a -T ${shellQuote(plan.table)}`,
    ...plan.mounts.flatMap((one) => bindText(mount, root, one)),
    ...(plan.console === undefined
      ? []
      : [": > dev/console", `${mount} -n --bind ${shellQuote(plan.console)} dev/console`]),
    ...(plan.network === "none" ? [`${shellQuote(host.tool("ip"))} link set lo up`] : []),
    ...(plan.nested === undefined || plan.nested.length === 0 ? [] : nestedText(host, plan.nested)),
    `${mount} -n --move . /`,
    "echo ready >&3",
  ];
  return lines.map((line) => `${line}\n`).join("");
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

/** A mount point is looked up step by step, so that no link of the environment leads it to a place on the host. */
function bindText(mount: string, root: string, bind: Pick<CacheMount, "source" | "target">): readonly string[] {
  const target = shellQuote(`./${bind.target}`);
  const leadsOut = shellQuote(`the mount point ${bind.target} leads out of the environment through a link`);
  return [
    `[ -d ${target} ] || mkdir -p ${target}`,
    `cd -P ${target}`,
    `case $PWD/ in ${root}/*) ;; *) refuse ${leadsOut} ;; esac`,
    `${mount} -n --bind -o nosuid,nodev ${shellQuote(bind.source)} "$PWD"`,
    `cd ${root}`,
  ];
}

/** One step for {@link stepsText}: the words that run it, and where its output goes. */
export interface StepProcess {
  readonly argv: readonly string[];
  readonly stdout: string;
  readonly stderr: string;
}

/** Shell text that runs steps one after another in one process tree, up to the first that fails. What they leave running ends with process 1. */
export function stepsText(steps: readonly StepProcess[]): string {
  const calls = steps.map(
    (step, index) => `step ${index} ${shellQuote(step.stdout)} ${shellQuote(step.stderr)} ${shellWords(step.argv)}\n`,
  );
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
