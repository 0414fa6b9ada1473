import { randomUUID } from "node:crypto";
import type { ContainerMount, Job } from "@melange2/buildkit-client";
import type { EnterOptions, Exit } from "@melange2/core";
import { marshal } from "@melange2/llb";
import type { BuildSpace } from "./build-space.ts";
import { throwIfAborted, translated } from "./foreign-errors.ts";
import { treeOf } from "./image-job.ts";
import { filesTree, withFiles } from "./image-state.ts";
import { withRoom } from "./layer-repairs.ts";
import { neverRun } from "./permits.ts";
import { exitOf } from "./run-result.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import { openStreams } from "./standard-streams.ts";
import { cacheMount } from "./unit-op.ts";

/** A process in a container of the daemon, on a copy of the state and on the streams that Node has. Nothing of it stays. */
export async function enterState(space: BuildSpace, at: BuildkitSnapshot, options: EnterOptions): Promise<Exit> {
  const { client, options: session } = space;
  const signal = AbortSignal.any([options.signal, session.signal]);
  throwIfAborted(signal);
  const { files, argv, workdir, user } = options;
  await using job = client.job({ serve: { trees: { [filesTree]: treeOf(files) }, secrets: neverRun } });
  try {
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
      args: streams.wrapped(argv),
      env: { ...options.env, ...secretsOf(space, options.secretEnv) },
      cwd: workdir,
      user: `${user.uid}:${user.gid}`,
      signal,
    });
    return exitOf(code);
  } catch (error) {
    if (signal.aborted) return { code: 130, reason: "interrupted" };
    throw translated(error, `running ${argv[0]}`);
  }
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
