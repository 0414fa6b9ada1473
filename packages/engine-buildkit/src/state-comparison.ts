import { isBuildkitError } from "@melange2/buildkit-client";
import { debugDirectory } from "@melange2/core";
import { exec, type Mount, marshal, type State, scratch } from "@melange2/llb";
import type { BuildSpace } from "./build-space.ts";
import { refusals, refusedToRun, translated } from "./foreign-errors.ts";
import { neverRun } from "./permits.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import { startOf, wrapperPath } from "./unit-op.ts";

/** What the daemon finds in the states of a build that the layers of an image would not show. All paths are absolute, in the last state. */
export interface StateComparison {
  /** Files with names that say in a layer that another file is gone: `.wh.NAME`. What is in such a folder is not named. */
  readonly reserved: readonly string[];
  /** Whether any unit left such a file, also one that a later unit deleted. */
  readonly anyReserved: boolean;
  /** Whether there is something at `/.melange2` that is no folder. */
  readonly inTheWay: boolean;
  /** Files that the daemon's differ takes for unchanged and that changed, or may have, with the other names of the same files. */
  readonly hidden: readonly string[];
  /** Whether mode or owner of `/` are others than the base's, which no daemon puts into a layer. */
  readonly rootChanged: boolean;
  /** Why files that changed may be missing above. */
  readonly unsure: "many" | "tools" | undefined;
}

const places = {
  found: "/dev/.melange2-found",
  state: (index: number) => `/dev/.melange2-state-${index}`,
};

/** Files of which the contents are compared. */
const mostCompared = 20_000;

/**
 * Constant; `$1` is the number of states, `$2` says whether to look for what the differ does not see. Writes a line for each find: its kind, a
 * blank, a path in the last state.
 *
 * The differ takes a file for unchanged that has the size and the time that it had before. The contents are compared of files that have the same
 * attributes as in the state before, and another inode time; times are of seconds, so that a file of that state's last second may have changed
 * since, too. A file that only got another name (\`ln\`) is found by its number of names. Names that a list of lines cannot hold are not compared:
 * such files count as changed.
 */
const script = String.raw`
for tool in find stat; do command -v $tool >/dev/null || exit ${refusals.missingTools}; done
if [ "$2" = all ]; then
  for tool in sort uniq sed grep tail wc tr xargs md5sum awk rm; do command -v $tool >/dev/null || exit ${refusals.missingTools}; done
fi
newline='
'
return=$(printf '\r')
found=${places.found}
states=${places.state(0).slice(0, -1)}
regular() { find . -type f ! -path "*$newline*" ! -path "*$return*" "$@"; }
sums() { cd $states$1 && tr '\n' '\0' <$found/alike | xargs -0 md5sum 2>/dev/null; }
# Of a name with a backslash, GNU's md5sum gives another form, and says so by a backslash before the line.
differing() { sort $found/sums-before $found/sums-after | uniq -u | sed '/^\\/{s/^\\//;s/\\\\/\\/g;}' | sed 's/^[^ ]* [ *]//'; }
# What is the same file as one that is hidden comes with it, so that it stays one file.
names() {
  regular -links +1 -exec stat -c '%i %n' {} + >$found/linked
  awk 'FNR == 1 { file++ }
    { path = $0; sub(/^[0-9]+ /, "", path) }
    file == 1 { hidden[$0]; print; next }
    file == 2 { if (path in hidden) inode[$1]; next }
    $1 in inode { print path }' $found/hidden $found/linked $found/linked
}

state=0
: >$found/hidden
while [ $state -lt "$1" ]; do
  cd $states$state || exit
  [ $state = 0 ] || [ -z "$(find . -name '.wh.*')" ] || echo any-reserved .
  root=$(stat -c '%a %u %g' .)
  [ $state != 0 ] || base_root=$root
  if [ "$2" = all ]; then
    regular -exec stat -c '%n|%s %Y %a %u %g %h %Z' {} + >$found/list-$state
    if [ $state != 0 ]; then
      sort $found/list-$before $found/list-$state >$found/both
      uniq -u $found/both | sed 's/ [0-9]*$//' | uniq -d | sed 's/|[^|]*$//' >$found/alike
      uniq -u $found/both | sed 's/ [0-9]* [0-9]*$//' | uniq -d | sed 's/|[^|]*$//' | sort >$found/renamed
      sort $found/alike $found/alike $found/renamed | uniq -u >>$found/hidden
      last=$(sed 's/.* //' $found/list-$before | sort -n | tail -n 1)
      uniq -d $found/both | grep " $last$" | sed 's/|[^|]*$//' >$found/recent
      if [ $(wc -l <$found/alike) -gt ${mostCompared} ]; then echo many .; else
        [ $(wc -l <$found/recent) -gt ${mostCompared} ] || sed '' $found/recent >>$found/alike
        (sums $before) >$found/sums-before
        (sums $state) >$found/sums-after
        differing >>$found/hidden
      fi
    fi
  fi
  before=$state
  state=$((state + 1))
done >$found/result
{
  [ "$root" = "$base_root" ] || echo root-changed .
  if [ -L ${debugDirectory} ] || { [ -e ${debugDirectory} ] && [ ! -d ${debugDirectory} ]; }; then echo in-the-way .; fi
  find . -name '.wh.*' -prune -print | while IFS= read -r path; do printf 'reserved %s\n' "$path"; done
  if [ "$2" = all ]; then
    [ ! -s $found/hidden ] || names | sort -u | sed 's/^/hidden /'
    find . -type f \( -path "*$newline*" -o -path "*$return*" \) -exec sh -c 'for path; do
      printf "hidden %s" "$path" | tr "\n\r" "??"; echo
    done' sh {} +
  fi
} >>$found/result
exit 0
`;

const nothing: StateComparison = {
  reserved: [],
  anyReserved: false,
  inTheWay: false,
  hidden: [],
  rootChanged: false,
  unsure: undefined,
};
const known = new WeakMap<BuildkitSnapshot, Promise<StateComparison>>();

/** Asked of the daemon once for each state. */
export function compareStates(space: BuildSpace, at: BuildkitSnapshot, signal: AbortSignal): Promise<StateComparison> {
  const asked = known.get(at) ?? askDaemon(space, at, signal);
  known.set(at, asked);
  asked.catch(() => known.delete(at));
  return asked;
}

/** The base's programs do it, since those of later states are the steps' to change; where it lacks them, the last state's. */
async function askDaemon(space: BuildSpace, at: BuildkitSnapshot, signal: AbortSignal): Promise<StateComparison> {
  const states = statesOf(at);
  if (states.length === 1) return nothing;
  for (const root of [at.base.state, at.state]) {
    const found = await compareWith(root, space, states, signal);
    if (found !== undefined) return found;
  }
  return { ...nothing, unsure: "tools" };
}

/** undefined: the root lacks the programs that it takes, or they do not work. */
async function compareWith(
  root: State,
  { client, daemon }: BuildSpace,
  states: readonly State[],
  signal: AbortSignal,
): Promise<StateComparison | undefined> {
  const search = exec(root, {
    name: "melange2 comparison of states",
    args: ["/bin/sh", "-c", script, "sh", String(states.length), daemon.comparesTimes ? "all" : "names"],
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
    if (isBuildkitError(error) && error.code === "solve-failed" && !refusedToRun(error)) return undefined;
    throw translated(error, "comparing states");
  }
}

/** The base, and what each unit left. */
function statesOf({ state, base }: BuildkitSnapshot): readonly State[] {
  const states = [state];
  for (let at = startOf(state, base.state); at !== undefined; at = startOf(at, base.state)) states.unshift(at);
  return states;
}

/** Exported for tests. */
export function parseResult(text: string): StateComparison {
  const lines = text.split("\n").map((line) => /^([a-z-]+) \.(.*)$/.exec(line));
  const paths = (kind: string) => [...new Set(lines.flatMap((line) => (line?.[1] === kind ? [line[2] || "/"] : [])))];
  return {
    reserved: paths("reserved").sort(),
    anyReserved: paths("any-reserved").length > 0,
    inTheWay: paths("in-the-way").length > 0,
    hidden: paths("hidden").sort(),
    rootChanged: paths("root-changed").length > 0,
    unsure: paths("many").length > 0 ? "many" : undefined,
  };
}
