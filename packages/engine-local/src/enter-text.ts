/**
 * What the environment's own shell runs first, past the change of root: it takes the secrets, sets the environment and runs the command. Nothing
 * of the host's programs is in its environment by then but the three variables that they run with, which go.
 *
 *     sh -c TEXT sh SECRETS export|env COUNT VARIABLE… COMMAND…
 *
 * SECRETS are names, separated by blanks, whose values come on descriptor 4. A shell sets plain variables itself. Names that a shell acts upon,
 * and those that are no names to it, go through the environment's `env`, where it has one.
 */
export const enterText = `
if [ -n "$1" ]; then
  while IFS=' ' read -r _melange2_name _melange2_lines <&4 && [ "$_melange2_name" != . ]; do
    _melange2_value=
    while [ "$_melange2_lines" -gt 0 ]; do
      IFS= read -r _melange2_line <&4
      _melange2_lines=$((_melange2_lines - 1))
      _melange2_value=$_melange2_value$_melange2_line
      [ "$_melange2_lines" -eq 0 ] || _melange2_value="$_melange2_value
"
    done
    case " $1 " in *" $_melange2_name "*) export "$_melange2_name=$_melange2_value" ;; esac
  done
  exec 4<&-
  unset _melange2_name _melange2_lines _melange2_value _melange2_line
fi
_melange2_way=$2 _melange2_count=$3
shift 3
if [ "$_melange2_way" = env ]; then
  for _melange2_env in /usr/bin/env /bin/env; do
    [ ! -x "$_melange2_env" ] ||
      exec "$_melange2_env" -u PATH -u LC_ALL -u LIBMOUNT_FORCE_MOUNT2 -u PWD -u OLDPWD -u SHLVL -u _ -- "$@"
  done
fi
unset PATH LC_ALL LIBMOUNT_FORCE_MOUNT2 PWD OLDPWD SHLVL _
while [ "$_melange2_count" -gt 0 ]; do
  _melange2_count=$((_melange2_count - 1))
  export "$1"
  shift
done
exec "$@"
`;
