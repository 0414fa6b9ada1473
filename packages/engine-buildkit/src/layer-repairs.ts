import { posix } from "node:path";
import { isBuildkitError } from "@melange2/buildkit-client";
import { debugDirectory, type EngineOptions } from "@melange2/core";
import { type CopyAction, exec, file, type Mount, marshal, type State, scratch } from "@melange2/llb";
import type { BuildSpace } from "./build-space.ts";
import { refusals, refusedToRun, translated } from "./foreign-errors.ts";
import { neverRun } from "./permits.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import { startOf, wrapperPath } from "./unit-op.ts";

/**
 * Where the layers that a daemon makes of the units' changes would show what never was. It takes a file for unchanged that has the size and the
 * time that it had before; and a file named `.wh.NAME` in a layer says that NAME is gone.
 */
export interface LayerRepairs {
  /** Files that no layer can hold. Absolute paths, as all here. */
  readonly leftOut: readonly string[];
  /** What stands where the image's own files go. */
  readonly inTheWay: readonly string[];
  /** What the layers would show as it was before, or not at all. */
  readonly restored: readonly string[];
  /** Too many files changed for the daemon to tell which of them these are. */
  readonly unsure: boolean;
}

const places = {
  found: "/dev/.melange2-found",
  state: (index: number) => `/dev/.melange2-state-${index}`,
};

/** Files of which the contents are compared. */
const mostCompared = 20_000;

/**
 * Constant; `$1` is the number of states. The contents are compared of files that have the same attributes as in the state before, and another
 * inode time; times are of seconds, so that a file of that state's last second may have changed since, too. Writes a line for each find: its
 * kind, a blank, a path in the last state.
 */
const script = `
for tool in find stat sort uniq sed grep tail wc tr xargs md5sum rm; do command -v $tool >/dev/null || exit ${refusals.missingTools}; done
found=${places.found}
states=${places.state(0).slice(0, -1)}
sums() { cd $states$1 && tr '\\n' '\\0' <$found/alike | xargs -0 md5sum 2>/dev/null; }
state=0
while [ $state -lt "$1" ]; do
  cd $states$state || exit
  find . -type f -exec stat -c '%n|%s %Y %a %u %g %Z' {} + >$found/list-$state
  if [ $state != 0 ]; then
    sort $found/list-$before $found/list-$state >$found/both
    uniq -u $found/both | sed 's/ [0-9]*$//' | uniq -d | sed 's/|[^|]*$//' >$found/alike
    last=$(sed 's/.* //' $found/list-$before | sort -n | tail -n 1)
    uniq -d $found/both | grep " $last$" | sed 's/|[^|]*$//' >$found/recent
    if [ $(wc -l <$found/alike) -gt ${mostCompared} ]; then echo unsure .; else
      [ $(wc -l <$found/recent) -gt ${mostCompared} ] || sed '' $found/recent >>$found/alike
      (sums $before) >$found/sums-before
      (sums $state) >$found/sums-after
      sort $found/sums-before $found/sums-after | uniq -u | sed 's/^[^ ]* [ *]/hidden /'
    fi
  fi
  before=$state
  state=$((state + 1))
done >$found/result
if [ -e ${debugDirectory} ] || [ -L ${debugDirectory} ]; then echo in-the-way ./${debugDirectory}; fi >>$found/result
find . -name '.wh.*' | while IFS= read -r path; do
  printf 'left-out %s\\n' "$path"
  folder=\${path%/*} name=\${path##*/.wh.}
  case $name in
    .wh..opq) if [ "$folder" = . ]; then echo unsure .; else printf 'hidden %s\\n' "$folder"; fi ;;
    *) if [ -e "$folder/$name" ] || [ -L "$folder/$name" ]; then printf 'hidden %s\\n' "$folder/$name"; fi ;;
  esac
done >>$found/result
rm -f $found/list-* $found/both $found/alike $found/recent $found/sums-*
exit 0
`;

const noRepairs: LayerRepairs = { leftOut: [], inTheWay: [], restored: [], unsure: false };
const known = new WeakMap<BuildkitSnapshot, Promise<LayerRepairs>>();

/** Asked of the daemon once for each state. A state that lacks the programs for it is taken as it is. */
export function layerRepairs(space: BuildSpace, at: BuildkitSnapshot, signal: AbortSignal): Promise<LayerRepairs> {
  const asked = known.get(at) ?? askDaemon(space, at, signal);
  known.set(at, asked);
  asked.catch(() => known.delete(at));
  return asked;
}

async function askDaemon({ client }: BuildSpace, at: BuildkitSnapshot, signal: AbortSignal): Promise<LayerRepairs> {
  const states = statesOf(at);
  if (states.length === 1) return noRepairs;
  const search = exec(at.state, {
    name: "melange2 comparison of states",
    args: ["/bin/sh", "-c", script, "sh", String(states.length)],
    env: { PATH: wrapperPath, LC_ALL: "C" },
    readonlyRoot: true,
    network: "none",
    mounts: [
      { type: "bind", target: places.found, from: scratch },
      ...states.map((from, index): Mount => ({ type: "bind", target: places.state(index), from, readonly: true })),
    ],
  });
  await using job = client.job({ serve: { secrets: neverRun } });
  try {
    const reference = await job.solve(marshal(search.mount(places.found)).bytes, { signal });
    return parseResult(Buffer.from(await job.readFile(reference, "/result", { signal })).toString());
  } catch (error) {
    if (isBuildkitError(error) && error.code === "solve-failed" && !refusedToRun(error)) return noRepairs;
    throw translated(error, "comparing states");
  }
}

/** The base, and what each unit left. */
function statesOf({ state, base }: BuildkitSnapshot): readonly State[] {
  const states = [state];
  for (let at = startOf(state, base.state); at !== undefined; at = startOf(at, base.state)) states.unshift(at);
  return states;
}

function parseResult(text: string): LayerRepairs {
  const lines = text.split("\n").map((line) => /^(hidden|left-out|in-the-way|unsure) (\..*)$/.exec(line));
  const of = (kind: string) => [...new Set(lines.flatMap((line) => (line?.[1] === kind ? [`/${line[2]}`] : [])))];
  const paths = (kind: string) =>
    of(kind)
      .map((path) => posix.normalize(path))
      .sort();
  const hidden = paths("hidden");
  return {
    leftOut: paths("left-out"),
    inTheWay: paths("in-the-way"),
    // What is in a folder that is restored comes with it.
    restored: hidden.filter((path) => !hidden.some((other) => path.startsWith(`${other}/`))),
    unsure: of("unsure").length > 0,
  };
}

export function tellRepairs({ leftOut, unsure }: LayerRepairs, { onFinding }: EngineOptions): void {
  if (leftOut.length > 0) {
    const names = leftOut.slice(0, 3).join(", ") + (leftOut.length > 3 ? ` and ${leftOut.length - 3} more` : "");
    const message = `the image is without ${names}: in an image such a name says that another file is gone`;
    onFinding?.({ severity: "warning", message, hint: "melange2 debug shell and debug cp have them." });
  }
  if (unsure) {
    const message = "a file that a step changed without changing its size and time may be shown as it was before";
    onFinding?.({ severity: "warning", message, hint: "melange2 debug shell shows all files as they are." });
  }
}

/** The image's state, with what its layers would hide taken from `from` once more. Each operation is a layer, see {@link repairHistory}. */
export function repaired(image: State, from: State, { leftOut, inTheWay, restored }: LayerRepairs): State {
  const cleaned = removed(withoutLinks(image, inTheWay), leftOut);
  if (restored.length === 0) return cleaned;
  const source = removed(from, leftOut);
  // Removed in a layer of its own first: in one, the daemon would again find nothing changed.
  return file(removed(cleaned, restored), copiesOf(source, restored), { name: "melange2 restored files" });
}

/** The copies alone. */
export function restoredFiles(from: State, { leftOut, restored }: LayerRepairs): State {
  return file(scratch, copiesOf(removed(from, leftOut), restored), { name: "melange2 restored files" });
}

/** A line for each layer. */
export function repairHistory({ leftOut, inTheWay, restored }: LayerRepairs): readonly string[] {
  return [
    ...(inTheWay.length === 0 ? [] : ["melange2: makes room for its own files"]),
    ...(leftOut.length === 0 ? [] : ["melange2: without files that no layer can hold"]),
    ...(restored.length === 0 ? [] : ["melange2: makes room for restored files", "melange2: restored files"]),
  ];
}

/** Where it is a link, Docker 20.10 removes what the link leads to; the state's own rm does not. */
function withoutLinks(state: State, paths: readonly string[]): State {
  if (paths.length === 0) return state;
  const args = ["/bin/sh", "-c", 'rm -rf -- "$@"', "sh", ...paths];
  return exec(state, { name: "melange2 removed files", args, env: { PATH: wrapperPath }, network: "none" }).root;
}

export function removed(state: State, paths: readonly string[]): State {
  if (paths.length === 0) return state;
  const actions = paths.map((path) => ({ type: "remove", path, optional: true }) as const);
  return file(state, actions, { name: "melange2 removed files" });
}

function copiesOf(from: State, paths: readonly string[]): readonly CopyAction[] {
  return paths.map((path) => ({ type: "copy", from, source: path, destination: path, parents: true }));
}
