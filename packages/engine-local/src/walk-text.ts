/** Where `walk` stands after it followed more links than a chain without a circle has. */
const mostLinks = 40;

/**
 * Shell text that defines `walk PATH`: a cd from the current directory, taken as the root of a state, to PATH in it. Links are followed as a
 * process inside would follow them: an absolute one begins at that root, and `..` never leads above it. No process of the state runs meanwhile.
 * Where a folder is missing, `absent NAME` is called in the folder that lacks it: it makes the folder and enters it, or ends the shell.
 * `circle` is called where links lead round in a circle: it ends the shell, or enters a folder and empties `rest`.
 * @param readlink The host's program, quoted for a shell.
 */
export function walkText(readlink: string): string {
  return `walk() {
  top=$PWD rest=$1 links=0
  while [ -n "$rest" ]; do
    part=\${rest%%/*}
    case $rest in */*) rest=\${rest#*/} ;; *) rest= ;; esac
    case $part in
      '' | .) continue ;;
      ..) [ "$PWD" = "$top" ] || cd -P .. ; continue ;;
    esac
    if [ -L "./$part" ]; then
      links=$((links + 1))
      if [ "$links" -gt ${mostLinks} ]; then circle; continue; fi
      aim=$(${readlink} -- "./$part" && echo x)
      aim=\${aim%?x}
      case $aim in /*) cd "$top" ;; esac
      rest=$aim/$rest
    else
      cd -P "./$part" 2>/dev/null || absent "$part"
    fi
  done
}`;
}
