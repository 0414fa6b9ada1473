import { shellQuote } from "./shell-quote.ts";

/**
 * Shell text for process 1 of a sandbox with a terminal of its own, before the command. It gives the command a process group of its own, which has
 * the terminal: Ctrl-C and Ctrl-\ reach the command and none of the processes of ours that stand before it, and a shell in there finds a group
 * that exists in its namespace, to which it gives the terminal back when it ends. A shell ends by the Ctrl-C of its command, unless it has a trap.
 */
export const foregroundText = "trap : INT\nset -m\n";

/** What a shell makes of a command that was stopped: 128 and SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU. The command may also have ended so. */
const stopped = "14[789]|150";

/**
 * Shell text for afterwards, with the command's exit code in `code`. A command that was stopped (Ctrl-Z) goes on, because nobody could call it
 * back. When process 1 ends, its shell means to give the terminal to a group outside of its namespace; that this fails is of no interest.
 * @param jobs Name for a file of ours.
 */
export function resumingText(jobs: string): string {
  const file = shellQuote(jobs);
  return `while :; do
  case $code in ${stopped}) jobs >${file}; [ -s ${file} ] || break ;; *) break ;; esac
  code=0
  fg >/dev/null || code=$?
done
exec 2>/dev/null
`;
}
