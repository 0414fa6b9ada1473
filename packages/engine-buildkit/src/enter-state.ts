import { randomUUID } from "node:crypto";
import type { ContainerMount, Job } from "@melange2/buildkit-client";
import type { EnterOptions, Exit } from "@melange2/core";
import { exec, marshal } from "@melange2/llb";
import type { BuildSpace } from "./build-space.ts";
import { shellMissing, throwIfAborted, translated } from "./foreign-errors.ts";
import { treeOf } from "./image-job.ts";
import { filesTree, withFiles } from "./image-state.ts";
import { withRoom } from "./layer-repairs.ts";
import { neverRun } from "./permits.ts";
import { exitOf } from "./run-result.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import { openStreams } from "./standard-streams.ts";
import { cacheMount, wrapperPath } from "./unit-op.ts";

/** Changes to the wanted folder, or else to the nearest one above it that there is, and says so; then runs the command. */
const intoWorkdir = `at=$1
until cd "$at" 2>/dev/null; do
  case $at in /*/*) at=\${at%/*} ;; *) at=/ ;; esac
done
[ "$at" = "$1" ] || printf 'melange2: %s is no folder in this state; the nearest one is %s\\n' "$1" "$at" >&2
shift
exec "$@"`;

/** A process in a container of the daemon, on a copy of the state and on the streams that Node has. Nothing of it stays. */
export async function enterState(space: BuildSpace, at: BuildkitSnapshot, options: EnterOptions): Promise<Exit> {
  const { client, options: session } = space;
  const signal = AbortSignal.any([options.signal, session.signal]);
  throwIfAborted(signal);
  const { files, argv, workdir, user } = options;
  await using job = client.job({ serve: { trees: { [filesTree]: treeOf(files) }, secrets: neverRun } });
  try {
    await requireShell(job, at, signal);
    const state =
      files.length === 0
        ? at.state
        : withFiles(space.daemon.takesApart ? at.state : withRoom(at.state, at), 0n, randomUUID());
    const root = await job.solve(marshal(state).bytes, { signal });
    const mounts = await Promise.all(options.mounts.map((mount) => containerMount(job, mount, user, signal)));
    await using container = await job.container({
      root,
      mounts,
      network: session.network ? "sandbox" : "none",
      signal,
    });
    using streams = openStreams(options.tty.interactive);
    const code = await container.run({
      ...streams.process,
      args: streams.wrapped(["/bin/sh", "-c", intoWorkdir, "sh", workdir, ...argv]),
      env: { ...options.env, ...secretsOf(space, options.secretEnv) },
      cwd: "/",
      user: `${user.uid}:${user.gid}`,
      signal,
    });
    return exitOf(code);
  } catch (error) {
    if (signal.aborted) return { code: 130, reason: "interrupted" };
    throw translated(error, `running ${argv[0]}`);
  }
}

/** A process that cannot be started in a container is one of which some daemons never tell the end: it is tried as an op of the graph before. */
async function requireShell(job: Job, at: BuildkitSnapshot, signal: AbortSignal): Promise<void> {
  const attempt = exec(at.state, {
    name: "melange2 look for a shell",
    args: ["/bin/sh", "-c", ":"],
    env: { PATH: wrapperPath },
    network: "none",
  });
  await job.solve(marshal(attempt.root).bytes, { signal }).catch((error: unknown) => {
    throw shellMissing(error) ?? error;
  });
}

/** The cache mount that the step had. */
async function containerMount(
  job: Job,
  mount: EnterOptions["mounts"][number],
  user: EnterOptions["user"],
  signal: AbortSignal,
): Promise<ContainerMount> {
  const { from, ...cache } = cacheMount(mount, user);
  return from === undefined ? cache : { ...cache, from: await job.solve(marshal(from).bytes, { signal }) };
}

/** They go straight to the process; no graph and no record of the daemon holds them. */
function secretsOf({ options }: BuildSpace, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = options.secrets.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
