import { existsSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EnterOptions, Exit, ImageFile } from "@melange2/core";
import { writeTar } from "@melange2/oci";
import { bootText } from "./boot-script.ts";
import { exitOf, outOfMemoryKills, wasInterrupted } from "./exit.ts";
import { hostMount } from "./host-mount.ts";
import { imageFileEntries } from "./image-file-entries.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import { besideDraft, newRoot } from "./new-root.ts";
import { launchSandbox } from "./sandbox.ts";
import { secretValues } from "./secret-values.ts";
import { shellWords } from "./shell-quote.ts";
import { insideWords } from "./step-command.ts";
import { extractTar } from "./unpack-layer.ts";
import type { WorkSpace } from "./work-space.ts";

const intoWorkdir = 'cd "$1" || exit; shift; exec "$@"';

/** A process on a scratch copy of a state, on the streams that Node has. Nothing of it stays. */
export async function enterState(space: WorkSpace, at: LocalSnapshot, options: EnterOptions): Promise<Exit> {
  const { host } = space;
  const signal = AbortSignal.any([options.signal, space.options.signal]);
  const secrets = secretValues(space, options.secretEnv);
  const mounts = options.mounts.map(hostMount(space.state)).filter(({ source }) => existsSync(source));
  const root = await newRoot(space, at, mounts, signal);
  await layOver(space, options.files, join(root.draft, "fs"), signal);

  const command = insideWords(
    host,
    {
      argv: ["/bin/sh", "-c", intoWorkdir, "sh", options.workdir, ...options.argv],
      env: options.env,
      secretEnv: options.secretEnv,
      user: options.user,
      capabilities: { add: [], drop: [] },
      nestedIn: besideDraft(root.draft, "user"),
    },
    options.secretEnv,
  );
  const script = besideDraft(root.draft, "sh");
  const console = options.tty.interactive ? terminalOfStdin() : undefined;
  const text = `${bootText(host, space.directory, { ...root.plan, console })}code=0
${shellWords(command)} 3>&- || code=$?
echo "end 0 $code" >&3
`;
  writeFileSync(script, text, { mode: 0o600 });

  let code: number | undefined;
  const before = outOfMemoryKills();
  const sandbox = launchSandbox(host, {
    script,
    network: root.plan.network,
    secrets,
    terminal: true,
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

async function layOver(
  space: WorkSpace,
  files: readonly ImageFile[],
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  if (files.length === 0) return;
  await extractTar(space.host, writeTar(imageFileEntries(files, 0n)), folder, signal);
}

/** The terminal's device, for programs that ask for /dev/console. */
function terminalOfStdin(): string | undefined {
  return process.stdin.isTTY ? readlinkSync("/proc/self/fd/0") : undefined;
}
