/**
 * The programs in a debug image's `/.melange2`. They are constant: what differs from failure to failure lies beside them as data, one
 * value a file, read with cat and printed with printf, so that nothing a recipe says is ever parsed by a shell. They need a POSIX sh,
 * cat, env, printenv and id of the image; to change the user also setpriv or coreutils' chroot.
 */
export const rerunScript = `#!/bin/sh
# Runs the failed step again: the same command, environment, directory and user.
here=/.melange2
read_file() { cat "$here/$1" && printf x; }
say() { printf 'rerun: %s\\n' "$*" >&2; }

if [ "$(cat "$here/state")" = at-failure ]; then
  say "this state is the one the step left when it failed: its partial effects are there."
fi
while read -r mount; do
  say "in the build, $mount was mounted from the machine; it is not part of this image."
done < "$here/mounts"

missing=
while read -r name; do
  printenv "$name" >/dev/null || missing="$missing $name"
done < "$here/secrets"
if [ -n "$missing" ]; then
  say "set these secrets first, they are not part of this image:$missing"
  exit 2
fi

set --
for file in "$here"/env/*; do
  [ -f "$file" ] || continue
  pair=$(cat "$file" && printf x)
  set -- "$@" "\${pair%x}"
done
while read -r name; do
  value=$(printenv "$name" && printf x)
  value=\${value%x}
  set -- "$@" "$name=\${value%?}"
done < "$here/secrets"

if [ -d "$here/command" ]; then
  for file in "$here"/command/*; do
    word=$(cat "$file" && printf x)
    set -- "$@" "\${word%x}"
  done
else
  script=$(read_file script) || exit 2
  # No program takes a word of more than 128 KiB, and a character may have four bytes.
  if [ \${#script} -gt 30000 ]; then
    set -- "$@" /bin/sh "$here/script"
  else
    set -- "$@" /bin/sh -c "\${script%x}"
  fi
fi
start=$(read_file start-directory)
cd "\${start%x}" 2>/dev/null || cd /

uid=$(cat "$here/uid")
gid=$(cat "$here/gid")
if [ "$(id -u)" = "$uid" ] && [ "$(id -g)" = "$gid" ]; then
  exec env -i -- "$@"
fi
if [ "$(id -u)" != 0 ]; then
  say "the step ran as $uid:$gid, and this user cannot become it: start the container with --user $uid:$gid"
  exit 2
fi
if command -v setpriv >/dev/null && setpriv --reuid "$uid" --regid "$gid" --clear-groups true 2>/dev/null; then
  exec setpriv --reuid "$uid" --regid "$gid" --clear-groups env -i -- "$@"
fi
if chroot --userspec="$uid:$gid" --groups= --skip-chdir / true 2>/dev/null; then
  exec chroot --userspec="$uid:$gid" --groups= --skip-chdir / env -i -- "$@"
fi
say "no program here can change to the user $uid:$gid: start the container with --user $uid:$gid"
exit 2
`;

export const profileScript = `# Read by interactive shells through ENV: says where you are.
unset ENV
cat /.melange2/greeting >&2
`;
