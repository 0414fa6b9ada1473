import { join } from "node:path";
import { connect, isBuildkitError } from "@melange2/buildkit-client";
import type { Engine, EngineContext, EngineOptions, EngineSession, Finding } from "@melange2/core";
import { buildingJob } from "./building-job.ts";
import { buildkitd } from "./buildkitd.ts";
import { daemonTransport } from "./daemon-address.ts";
import { dockerd } from "./dockerd.ts";
import { throwIfAborted, translated } from "./foreign-errors.ts";
import type { BuildkitOptions } from "./options.ts";
import { createPermits } from "./permits.ts";
import { createSession } from "./session.ts";
import { sweepSpool } from "./spool-file.ts";

/** Steps on a BuildKit daemon, solved one by one in one job; states are the daemon's own cached results. */
export function buildkitEngine(context: EngineContext<BuildkitOptions>): Engine {
  return {
    name: "buildkit",
    check: ({ signal }) => checkDaemon(context, signal),
    open: (options) => openSession(context, options),
  };
}

async function checkDaemon(context: EngineContext<BuildkitOptions>, signal: AbortSignal): Promise<readonly Finding[]> {
  throwIfAborted(signal);
  try {
    await using client = await connect(daemonTransport(context), { signal });
    const workers = await client.workers({ signal });
    if (workers.length > 0) return [];
    return [{ severity: "error", message: `the daemon at ${client.address} has no worker`, hint: "See its log." }];
  } catch (error) {
    if (isBuildkitError(error) && error.code !== "aborted") {
      return [{ severity: "error", message: error.message, hint: error.hint }];
    }
    throw translated(error, "checking the daemon");
  }
}

async function openSession(context: EngineContext<BuildkitOptions>, options: EngineOptions): Promise<EngineSession> {
  throwIfAborted(options.signal);
  const transport = daemonTransport(context);
  const client = await connect(transport, { signal: options.signal }).catch((error: unknown) => {
    throw translated(error, "connecting to the daemon");
  });
  const [, socket] = /^docker:\/\/(.+)$/.exec(client.address) ?? [];
  const daemon =
    socket === undefined
      ? buildkitd()
      : await dockerd(socket, options.signal).catch(async (error: unknown) => {
          await client.close();
          throw error;
        });
  const spoolDirectory = join(context.stateDirectory, "spool");
  await sweepSpool(spoolDirectory);
  const permits = createPermits(options.secrets);
  return createSession({
    client,
    daemon,
    permits,
    options,
    job: buildingJob(client, { stores: daemon.stores, secrets: permits.answer }),
    ownRecords: new Set(),
    spoolDirectory,
  });
}
