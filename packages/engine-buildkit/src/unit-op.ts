import { createHash } from "node:crypto";
import { cacheMountsOf, commandOf, type Step, type Unit } from "@melange2/core";
import { type BindMount, type CacheMount, exec, file, type Mount, type State, scratch } from "@melange2/llb";
import { engineError } from "./foreign-errors.ts";
import { places, wrapperScript } from "./wrapper-script.ts";

/** A unit of steps as one op of the daemon's graph. */
export interface UnitOp {
  /** In the op's arguments, and the id of its capture secret: what the daemon's records of it are found by. */
  readonly marker: string;
  /** The vertex's name in status streams. */
  readonly name: string;
  /** What the unit leaves. */
  readonly root: State;
  /** The wrapper's own result; its files are in `statusFolder` there. */
  readonly status: State;
  readonly statusFolder: string;
}

export interface UnitOpOptions {
  readonly network: boolean;
  /** Keeps the op apart from all others that do the same. */
  readonly nonce?: string | undefined;
}

const markerPrefix = "m2-";
const stepSecretPrefix = "env.";

/** Whether it is what {@link unitOp} calls a unit. */
export const isMarker = (text: string): boolean => /^m2-[0-9a-f]{40}(?:\.[\w.-]+)?$/.test(text);

const statusOutput = 1;

/** Bytes that the kernel takes for a word, its end included. */
const longestWord = 128 * 1024;

export const wrapperPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Same state, unit and options: same op, with the same digest. */
export function unitOp(from: State, unit: Unit, { network, nonce }: UnitOpOptions): UnitOp {
  const { user } = unit.steps[0] as Step;
  const other = unit.steps.find((step) => step.user.uid !== user.uid || step.user.gid !== user.gid);
  if (other !== undefined) {
    throw engineError(
      `the steps of ${unit.id} share one process tree, and ${other.id} runs as another user than the first`,
      "On BuildKit such steps run as one user: give them the same run-as.",
    );
  }
  const scripts = unit.steps.map(longScript);
  const words = unit.steps.flatMap((step, index) => {
    const argv = wordsOf(step, scripts[index]?.target);
    return [String(argv.length), ...argv];
  });
  if (words.some((word) => Buffer.byteLength(word) >= longestWord)) {
    throw engineError(
      `a variable or a word of ${unit.id} is longer than ${longestWord / 1024} KiB, which the kernel takes for no program`,
      "Put it into a file of the source directory and read that.",
    );
  }
  const secrets = [...new Set(unit.steps.flatMap((step) => step.secretEnv))].sort();
  const caches = unit.steps.flatMap(cacheMountsOf).filter(firstOfTarget);
  const others = unit.steps.map(({ workdir, capabilities: { add, drop } }) => [
    workdir,
    [...add].sort(),
    [...drop].sort(),
  ]);
  const texts = unit.steps.flatMap(({ script }, index) => (scripts[index] === undefined ? [] : [script]));
  const key = JSON.stringify([
    from.vertex?.digest,
    wrapperScript,
    words,
    texts,
    secrets,
    caches,
    user,
    network,
    others,
  ]);
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 40);
  const marker = `${markerPrefix}${hash}${nonce === undefined ? "" : `.${nonce}`}`;
  const mounts: readonly Mount[] = [
    { type: "bind", target: places.status, ...(emptyFolder(user) ?? { from: scratch }) },
    { type: "secret", target: places.order, id: marker, mode: 0o444 },
    { type: "cache", target: places.stop, id: stopCache },
    ...secrets.map(
      (name): Mount => ({
        type: "secret",
        target: places.secret(name),
        id: stepSecretPrefix + name,
        mode: 0o400,
        ...user,
      }),
    ),
    ...caches.map((mount) => cacheMount(mount, user)),
    ...scripts.flatMap((script) => script ?? []),
  ];
  const name = `melange2 ${unit.id} ${marker}`;
  const run = exec(from, {
    name,
    args: ["/bin/sh", "-c", wrapperScript, marker, ...words],
    env: { PATH: wrapperPath },
    user: `${user.uid}:${user.gid}`,
    network: network ? "sandbox" : "none",
    mounts,
  });
  return {
    marker,
    name,
    root: run.root,
    status: run.mount(places.status),
    statusFolder: emptyFolder(user)?.selector ?? "/",
  };
}

/** A folder that the daemon keeps under the source's name, a new one owned by its first user. */
export function cacheMount({ source, target }: { source: string; target: string }, user: Step["user"]): CacheMount {
  return { type: "cache", target, id: `melange2:${source}`, ...emptyFolder(user) };
}

/** The cache mount that stop flags are raised in. */
export const stopCache = "melange2-stop";

/** The wrapper's result beside the root that a unit left. */
export function statusOf(root: State): State {
  return { ...root, output: statusOutput };
}

/** The state that a unit started from: an op's root is its first input. undefined: the state is no unit's. */
export function startOf(root: State, base: State): State | undefined {
  if (root.vertex === undefined || root.vertex.digest === base.vertex?.digest) return undefined;
  return { vertex: root.vertex.inputs[0], output: 0, platform: root.platform };
}

/** What a session is asked for by name. */
export function parseSecretId(id: string): { readonly marker: string } | { readonly variable: string } | undefined {
  if (id.startsWith(markerPrefix)) return { marker: id };
  if (id.startsWith(stepSecretPrefix)) return { variable: id.slice(stepSecretPrefix.length) };
  return undefined;
}

// Reads secrets that are mounted as files into variables, so that they are in no argument list; then runs the script.
const withSecrets = `while [ "$1" != -- ]; do
  value=
  while IFS= read -r line; do value=$value$line'
'; done <"${places.secret("$1")}"
  export "$1=$value$line"
  shift
done
unset value line
shift
exec "$@"`;

/** A script that is no word for an argv, as a file that the step's shell reads. */
function longScript({ command, script }: Step, index: number): BindMount | undefined {
  if (command !== undefined || Buffer.byteLength(script) < longestWord) return undefined;
  const path = "/script";
  const from = file(scratch, [{ type: "mkfile", path, data: script, mode: 0o444, timestamp: 0n }]);
  return { type: "bind", target: places.script(index), from, selector: path, readonly: true };
}

/** The words that run a step's command, or this script, with its environment and no other. */
function wordsOf(step: Step, script: string | undefined): readonly string[] {
  const argv = script === undefined ? commandOf(step) : ["/bin/sh", script];
  const variables = Object.entries(step.env).map(([name, value]) => `${name}=${value}`);
  const alone = ["env", "-i", ...variables];
  if (step.secretEnv.length === 0) return [...alone, ...argv];
  return [...alone, "/bin/sh", "-c", withSecrets, "sh", ...step.secretEnv, "--", ...argv];
}

/** For a mount that the user can write to: an empty folder of their own. undefined: root's is what a daemon makes by itself, in less time. */
function emptyFolder(owner: Step["user"]): { readonly from: State; readonly selector: string } | undefined {
  if (owner.uid === 0) return undefined;
  const path = "/own";
  return { from: file(scratch, [{ type: "mkdir", path, mode: 0o700, owner, timestamp: 0n }]), selector: path };
}

function firstOfTarget(mount: { target: string }, index: number, all: readonly { target: string }[]): boolean {
  return all.findIndex((other) => other.target === mount.target) === index;
}
