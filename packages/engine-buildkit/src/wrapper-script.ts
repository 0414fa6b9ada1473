import { refusals } from "./foreign-errors.ts";

/** What the wrapper finds in a step's container besides the step's own mounts. Mount points under /dev leave nothing in a snapshot. */
export const places = {
  /** The second result of the op: how it ended, and all of its output. */
  status: "/dev/.melange2-status",
  /** The capture secret: `on RUN` or `never`. */
  order: "/dev/.melange2-order",
  /** A file named RUN in here ends the step. */
  stop: "/dev/.melange2-stop",
  secret: (name: string) => `/dev/.melange2-secret-${name}`,
} as const;

/** Between two steps of a unit in each stream: this, the marker, a blank, the number of the step that begins, a newline. */
export const boundaryMark = "\u0001";

/**
 * Process 1 of a unit's container: POSIX shell, constant, so that no shell ever parses a recipe's text. `$0` is the op's marker; for each
 * step follow its time limit in seconds (0: none), the number of words, and the words of its command.
 *
 * A step that fails is a result: its exit code goes to the status mount and the op succeeds, so that the daemon keeps what the step left.
 * Where that cannot be written the op fails with the step's code, and the daemon forgets what the step left. The output goes to the daemon's log, which clips it, and whole into the status mount. There, a file is named
 * `result.RUN.STEP.CODE.REASON`: so a list of files tells all, and each request that a step does without is a share of its time.
 */
export const wrapperScript = `
status=${places.status}
read -r order run <${places.order}
[ "$order" = on ] || exit ${refusals.neverRun}
for tool in env mkfifo sleep tee; do command -v $tool >/dev/null || exit ${refusals.missingTools}; done

mkfifo $status/1 $status/2 || exit
tee $status/stdout <$status/1 2>/dev/null & out=$!
tee $status/stderr <$status/2 >&2 2>/dev/null & err=$!
exec >$status/1 2>$status/2

# The command of the first step, of all that follows the number of its words.
start() {
  words=$1 i=0
  shift
  while [ $i -lt $words ]; do set -- "$@" "$1"; shift; i=$((i + 1)); done
  shift $(($# - words))
  exec "$@"
}

# Ends every process but this one and those that copy the output. held: one is not ours to end.
sweep() {
  held=
  while :; do
    left=
    for process in /proc/[0-9]*; do
      process=\${process#/proc/}
      case $process in $$ | $out | $err) continue ;; esac
      read -r stat 2>/dev/null </proc/$process/stat || continue
      case \${stat##*) } in Z* | X*) continue ;; esac
      if kill -KILL $process 2>/dev/null; then left=1; else held=1; fi
    done
    [ -n "$left" ] || return
  done
}

memory_kills() {
  kills=0
  [ -r /sys/fs/cgroup/memory.events ] || return
  while read -r name value; do [ "$name" != oom_kill ] || kills=$value; done </sys/fs/cgroup/memory.events
}

memory_kills; kills_before=$kills
trap 'reason=timeout' USR1
trap 'reason=stop' USR2
while sleep 1; do [ ! -e ${places.stop}/$run ] || kill -USR2 $$; done </dev/null >/dev/null 2>&1 &

step=0
while :; do
  limit=$1 reason=exit timer=
  shift
  if [ $step != 0 ]; then
    printf '\\001%s %s\\n' "$0" $step
    printf '\\001%s %s\\n' "$0" $step >&2
  fi
  start "$@" </dev/null &
  process=$!
  if [ "$limit" != 0 ]; then
    { sleep "$limit" && kill -USR1 $$; } </dev/null >/dev/null 2>&1 &
    timer=$!
  fi
  # Shells tell of signals here, which is no output of the step.
  wait $process 2>/dev/null
  code=$?
  [ -z "$timer" ] || kill $timer 2>/dev/null
  case $reason in timeout) code=124 ;; stop) code=130 ;; esac
  [ $code = 0 ] || break
  shift $(($1 + 1))
  [ $# != 0 ] || break
  step=$((step + 1))
done

memory_kills
if [ $code = 137 ] && [ "$kills" -gt "$kills_before" ]; then reason=oom; fi
sweep
exec >/dev/null 2>&1
# It may hold the output open, too.
if [ -n "$held" ]; then { sleep 5; kill -KILL $out $err; } & fi
wait $out
wait $err
echo >"$status/result.$run.$step.$code.$reason" && exit 0
[ $code != 0 ] || code=${refusals.noRoom}
exit $code
`;
