import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EnterOptions, Exit, ImageFile } from "@melange2/core";
import { writeTar } from "@melange2/oci";
import { bootText, inputOf, nestedCommand, secretsText } from "./boot-script.ts";
import { exitOf, outOfMemoryKills, wasInterrupted } from "./exit.ts";
import { foregroundText, resumingText } from "./foreground-text.ts";
import type { Host } from "./host.ts";
import { hostMount } from "./host-mount.ts";
import { imageFileEntries } from "./image-file-entries.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import { besideDraft, type NewRoot, newRoot } from "./new-root.ts";
import { launchSandbox, type Terminal, usersErrors } from "./sandbox.ts";
import { secretValues } from "./secret-values.ts";
import { shellQuote, shellWords } from "./shell-quote.ts";
import { staticShell } from "./static-shell.ts";
import { insideWords } from "./step-command.ts";
import { extractTar } from "./unpack-layer.ts";
import type { WorkSpace } from "./work-space.ts";

/** Changes to the wanted folder, or else to the nearest one above it that there is, and says so; then runs the command. */
const intoWorkdir = `at=$1
until cd "$at" 2>/dev/null; do
  case $at in /*/*) at=\${at%/*} ;; *) at=/ ;; esac
done
[ "$at" = "$1" ] || printf 'melange2: %s is no folder in this state; the nearest one is %s\n' "$1" "$at" >&2
shift
exec "$@"`;

/** Where a shell of the host's is seen that was brought along: a folder of /dev. Its file has the name by which busybox knows itself. */
const broughtFolder = ".melange2";
const broughtShell = `/dev/${broughtFolder}/busybox`;

/** A process on a scratch copy of a state, on the streams that Node has. Nothing of it stays. */
export async function enterState(space: WorkSpace, at: LocalSnapshot, options: EnterOptions): Promise<Exit> {
  const { host } = space;
  const signal = AbortSignal.any([options.signal, space.options.signal]);
  const secrets = secretValues(space, options.secretEnv);
  const mounts = options.mounts.map(hostMount(space.state)).filter(({ source }) => existsSync(source));
  const root = await newRoot(space, at, mounts, signal);
  await layOver(space, options.files, join(root.draft, "fs"), signal);

  const terminal: Terminal = process.stdin.isTTY && process.stdout.isTTY ? "own" : "streams";
  const script = besideDraft(root.draft, "sh");
  writeFileSync(script, scriptText(space, root, options, terminal), { mode: 0o600 });

  let code: number | undefined;
  const before = outOfMemoryKills();
  const sandbox = launchSandbox(host, {
    script,
    network: root.plan.network,
    secrets,
    terminal,
    onReport: (report) => {
      if (report.event === "end") code = report.code;
    },
  });
  const stop = () => sandbox.kill();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await sandbox.finished;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  if (code === undefined && signal.aborted) return wasInterrupted;
  return exitOf(code ?? 137, { before, after: outOfMemoryKills() });
}

function scriptText({ host, directory }: WorkSpace, root: NewRoot, options: EnterOptions, terminal: Terminal): string {
  const words = (shell: readonly string[], argv: readonly string[]) =>
    insideWords(host, {
      argv: [...shell, "-c", intoWorkdir, "sh", options.workdir, ...argv],
      env: options.env,
      secretEnv: options.secretEnv,
      user: options.user,
      capabilities: { add: [], drop: [] },
      nestedIn: besideDraft(root.draft, "user"),
      apart: false,
      shell,
    });
  const usual = words(["/bin/sh"], options.argv);
  const withSecrets = options.secretEnv.length > 0;
  const input = inputOf(withSecrets);
  const boot = bootText(host, directory, {
    ...root.plan,
    console: terminal === "own",
    nested: usual[0] === nestedCommand ? [usual[1] ?? ""] : [],
  });
  const [before, after] =
    terminal === "own" ? [foregroundText, resumingText(besideDraft(root.draft, "jobs"))] : ["", ""];
  return `${withSecrets ? secretsText(host) : ""}${boot}${usersErrors}
code=0
${before}if ${shellQuote(host.tool("chroot"))} . /bin/sh -c : 2>/dev/null; then
${shellWords(usual)} 3>&-${input.redirection} || code=$?${input.body}
else
${withoutShell(host, root, (shell) => `${shellWords(words(shell, instead(options.argv, shell)))} 3>&-${input.redirection} || code=$?${input.body}`)}
fi
${after}echo "end 0 $code" >&3
`;
}

/** What happens in a state that has no shell of its own: one of the host's is brought along, where the host has one that needs nothing else. */
function withoutShell(host: Host, root: NewRoot, command: (shell: readonly string[]) => string): string {
  const brought = staticShell(host);
  if (brought === undefined)
    return `echo "melange2: this state has no /bin/sh that runs, and this machine has no static busybox to bring along; files can be read with melange2 debug cat and cp" >&2
code=127`;
  mkdirSync(join(root.plan.devices, broughtFolder));
  writeFileSync(join(root.plan.devices, broughtFolder, "busybox"), "");
  return `echo "melange2: this state has no /bin/sh that runs; this is the busybox of the machine" >&2
${shellQuote(host.tool("mount"))} -n -o bind,ro,nosuid -- ${shellQuote(brought)} .${broughtShell}
${command([broughtShell, "sh"])}`;
}

/** A shell that was asked for is the one that is there. */
function instead(argv: readonly string[], shell: readonly string[]): readonly string[] {
  return argv.length === 1 && argv[0] === "/bin/sh" ? shell : argv;
}

async function layOver(
  space: WorkSpace,
  files: readonly ImageFile[],
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  if (files.length === 0) return;
  await extractTar(space.host, writeTar(imageFileEntries(files, 0n)), folder, signal);
}
