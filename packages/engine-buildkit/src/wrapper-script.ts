import { refusals } from "./foreign-errors.ts";

/** What the wrapper finds in a step's container besides the step's own mounts. Mount points under /dev leave nothing in a snapshot. */
export const places = {
  /** The second result of the op: how it ended, and all of its output. */
  status: "/dev/.melange2-status",
  /** The capture secret. */
  order: "/dev/.melange2-order",
  /** A file named RUN in here ends the step. */
  stop: "/dev/.melange2-stop",
  script: (step: number) => `/dev/.melange2-script-${step}`,
  secret: (name: string) => `/dev/.melange2-secret-${name}`,
} as const;

/** Between two steps of a unit in each stream: this, the marker, a blank, the number of the step that begins, a newline. */
export const boundaryMark = "\u0001";

/**
 * The first process of a unit's container: POSIX shell, constant, so that no shell ever parses a recipe's text. `$0` is the op's marker; for each
 * step follow the number of words and the words of its command. The capture secret is `RUN LIMIT…`: a time limit in seconds for each step
 * (0: none), which is no part of what the step makes, as the secret is none of the cache key.
 *
 * A step that fails is a result: its exit code goes to the status mount and the op succeeds, so that the daemon keeps what the step left.
 * Where that cannot be written the op fails with the step's code, and the daemon forgets what the step left. The output goes to the daemon's log, which clips it, and whole into the status mount. There, a file is named
 * `result.RUN.STEP.CODE.REASON`: so a list of files tells all, and each request that a step does without is a share of its time.
 *
 * Steps run in the foreground: in the background, a shell has them ignore SIGINT and SIGQUIT for good. What runs beside them is deaf to the
 * signals that a step may send to its whole process group.
 */
export const wrapperScript = bare(`
status=${places.status}
read -r run limits <${places.order}
for tool in env mkfifo sleep tee; do command -v $tool >/dev/null || exit ${refusals.missingTools}; done

deaf() { trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM; }
# Of the process itself no signal has its way; with a handler, its children begin with the default.
trap : HUP INT QUIT USR1 USR2 PIPE ALRM TERM

mkfifo $status/1 $status/2 || exit
(deaf; exec tee $status/stdout <$status/1 2>/dev/null) & out=$!
(deaf; exec tee $status/stderr <$status/2 >&2 2>/dev/null) & err=$!
exec >$status/1 2>$status/2

# The command of the first step, of all that follows the number of its words.
start() {
  words=$1 i=0
  shift
  while [ $i -lt $words ]; do set -- "$@" "$1"; shift; i=$((i + 1)); done
  shift $(($# - words))
  exec "$@"
}

# Ends every process but the first, the one that sweeps and those that copy the output. held: one is not ours to end.
sweep() {
  held=
  read -r self rest </proc/self/stat
  read -r root rest </proc/self/mountinfo
  while :; do
    left=
    for process in /proc/[0-9]*; do
      process=\${process#/proc/}
      case $process in $$ | $self | $out | $err) continue ;; esac
      [ $$ = 1 ] || ours || continue
      read -r stat 2>/dev/null </proc/$process/stat || continue
      case \${stat##*) } in Z* | X*) continue ;; esac
      if kill -KILL $process 2>/dev/null; then left=1; elif [ -e /proc/$process ]; then held=1; fi
    done
    [ -n "$left" ] || return
  done
}

# Where the first process is not process 1, the daemon's are in sight, too. Mounts, whose ids are unique, are told of every user's processes;
# after a chroot, only who may look into a process sees that its mounts are ours.
ours() {
  read -r its rest 2>/dev/null </proc/$process/mountinfo || return
  [ "$its" = "$root" ] || [ /proc/$process/ns/mnt -ef /proc/self/ns/mnt ]
}

# Ends the step from beside it. The file says why; a redirection alone would end the shell where there is no room for it.
end_step() {
  echo >$status/$1
  sweep
}

memory_kills() {
  kills=0
  [ -r /sys/fs/cgroup/memory.events ] || return
  while read -r name value; do [ "$name" != oom_kill ] || kills=$value; done </sys/fs/cgroup/memory.events
}

memory_kills; kills_before=$kills
(deaf; while sleep 1; do [ ! -e ${places.stop}/$run ] || end_step stop; done) </dev/null >/dev/null 2>&1 &

step=0
while :; do
  limit=\${limits%% *} limits=\${limits#* } reason=exit timer=
  if [ $step != 0 ]; then
    printf '\\001%s %s\\n' "$0" $step
    printf '\\001%s %s\\n' "$0" $step >&2
  fi
  if [ "$limit" != 0 ]; then
    (deaf; sleep "$limit" && end_step timeout) </dev/null >/dev/null 2>&1 &
    timer=$!
  fi
  # The shell tells of signals on its own stderr, which is no output of the step.
  {
    (start "$@" 2>&3 3>&-) </dev/null
    code=$?
    [ -z "$timer" ] || { kill -KILL $timer; wait $timer; }
  } 3>&2 2>/dev/null
  for why in timeout stop; do [ ! -e $status/$why ] || reason=$why; done
  case $reason in timeout) code=124 ;; stop) code=130 ;; esac
  [ $code = 0 ] || break
  shift $(($1 + 1))
  [ $# != 0 ] || break
  step=$((step + 1))
done

memory_kills
if [ $code = 137 ] && [ "$kills" -gt "$kills_before" ]; then reason=oom; fi
exec >/dev/null 2>&1
sweep
# It may hold the output open, too.
if [ -n "$held" ]; then { sleep 5; kill -KILL $out $err; } & fi
wait $out
wait $err
[ -z "$held" ] || kill -KILL $!
echo >"$status/result.$run.$step.$code.$reason" && exit 0
[ $code != 0 ] || code=${refusals.noRoom}
exit $code
`);

/** Without comments and indentation: a daemon writes all of it down with every record that it keeps. */
function bare(script: string): string {
  return script.replace(/^ *(#.*)?\n|^ +/gm, "");
}
