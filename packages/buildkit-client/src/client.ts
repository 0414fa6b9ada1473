import { type AddressOptions, parseAddress } from "./address.ts";
import { type ConnectOptions, openConnection } from "./connection.ts";
import { BuildkitError, isBuildkitError } from "./error.ts";
import { Control, type UsageRecord as UsageMessage } from "./gen/control_pb.ts";
import { type CallOptions, type Job, openJob } from "./job.ts";
import { beginSolve, type Frontend, type SolveOptions, type SolveResult } from "./solve.ts";
import { dateOf } from "./status.ts";
import type { Transport } from "./transport/transport.ts";
import { whole } from "./whole.ts";

export interface DaemonInfo {
  /** `github.com/moby/buildkit`; a Docker daemon's BuildKit says so too. */
  readonly package: string;
  readonly version: string;
  readonly revision: string;
}

export interface Worker {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly platforms: readonly { readonly os: string; readonly architecture: string; readonly variant: string }[];
}

/** One record of the daemon's cache. */
export interface UsageRecord {
  readonly id: string;
  /** `regular`, `source.local`, `exec.cachemount`, `internal`, … */
  readonly type: string;
  /** What made it: for an exec, its argv. */
  readonly description: string;
  /** Bytes. */
  readonly size: number;
  readonly mutable: boolean;
  readonly inUse: boolean;
  readonly shared: boolean;
  readonly parents: readonly string[];
  readonly created: Date | undefined;
  readonly lastUsed: Date | undefined;
  readonly uses: number;
}

export interface FilterOptions extends CallOptions {
  /** Each a containerd filter, `id==x`, `description~=x`, `type==regular`; a record that matches one of them matches. */
  readonly filter?: readonly string[];
}

export interface PruneOptions extends FilterOptions {
  /** Also what is still useful: internal and frontend records, images. */
  readonly all?: boolean;
  /** Only what was last used longer ago. */
  readonly keepMilliseconds?: number;
  /** Stops when no more than these bytes are left. */
  readonly keepBytes?: number;
}

/** A daemon. The caller owns the connection and closes it; nothing keeps the process alive then. Every method rejects with a BuildkitError. */
export interface BuildkitClient extends AsyncDisposable {
  readonly address: string;
  /** undefined: too old to say (Docker 20.10). */
  info(options?: CallOptions): Promise<DaemonInfo | undefined>;
  workers(options?: CallOptions): Promise<readonly Worker[]>;
  diskUsage(options?: FilterOptions): Promise<readonly UsageRecord[]>;
  /**
   * What was deleted; without a filter, all that can be. Records that an open job holds are silently kept, and have other ids once it has let
   * go of them: list again and compare. On Docker 20.10 only `id==` filters match.
   */
  prune(options?: PruneOptions): Promise<readonly UsageRecord[]>;
  /**
   * Runs a graph, a serialized `pb.Definition`, and hands its result to the exports. Aborting the signal kills what
   * runs. Resolves after the last status event.
   */
  solve(definition: Uint8Array, options?: SolveOptions): Promise<SolveResult>;
  /** The same with the graph that a frontend makes, such as `dockerfile.v0` of what is served as `dockerfile` and `context`. */
  build(frontend: Frontend, options?: SolveOptions): Promise<SolveResult>;
  /** Opens a build in steps. */
  job(options?: SolveOptions): Job;
  /** Ends all that still goes on. */
  close(): Promise<void>;
}

/**
 * Connects to the daemon at an address, or through any transport, and makes sure that it answers. Rejects with code
 * `address` or, within `timeoutMs`, `unreachable`.
 */
export async function connect(
  where: string | Transport,
  options: ConnectOptions & AddressOptions = {},
): Promise<BuildkitClient> {
  const transport = typeof where === "string" ? parseAddress(where, options) : where;
  const connection = await openConnection(transport, options);
  const control = connection.client(Control);
  return {
    address: connection.address,
    async info({ signal } = {}) {
      try {
        const { buildkitVersion } = await connection.call("info", signal, () => control.info({}, callOptions(signal)));
        return {
          package: buildkitVersion?.package ?? "",
          version: buildkitVersion?.version ?? "",
          revision: buildkitVersion?.revision ?? "",
        };
      } catch (error) {
        if (isBuildkitError(error) && error.code === "unsupported") return undefined;
        throw error;
      }
    },
    async workers({ signal } = {}) {
      const { record } = await connection.call("workers", signal, () => control.listWorkers({}, callOptions(signal)));
      return record.map(({ ID, Labels, platforms }) => ({
        id: ID,
        labels: Labels,
        platforms: platforms.map(({ OS, Architecture, Variant }) => ({
          os: OS,
          architecture: Architecture,
          variant: Variant,
        })),
      }));
    },
    async diskUsage({ filter = [], signal } = {}) {
      const { record } = await connection.call("disk usage", signal, () =>
        control.diskUsage({ filter: [...filter] }, callOptions(signal)),
      );
      return record.map(usageOf);
    },
    async prune({ filter, all = false, keepMilliseconds = 0, keepBytes = 0, signal } = {}) {
      if (filter?.length === 0) {
        throw new BuildkitError("request", "prune: the list of filters is empty, which daemons take for everything", {
          hint: "Leave the filter out to prune everything.",
        });
      }
      const request = {
        filter: [...(filter ?? [])],
        all,
        keepDuration: whole("prune: keepMilliseconds", keepMilliseconds) * 1_000_000n,
        reservedSpace: whole("prune: keepBytes", keepBytes),
      };
      return connection.call("prune", signal, async () => {
        const pruned: UsageRecord[] = [];
        for await (const record of control.prune(request, callOptions(signal))) pruned.push(usageOf(record));
        return pruned;
      });
    },
    solve: async (definition, solveOptions = {}) => await beginSolve(connection, { definition }, solveOptions).result,
    build: async (frontend, solveOptions = {}) => await beginSolve(connection, { frontend }, solveOptions).result,
    job: (solveOptions = {}) => openJob(connection, solveOptions),
    close: () => connection.close(),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

function callOptions(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function usageOf(record: UsageMessage): UsageRecord {
  return {
    id: record.ID,
    type: record.RecordType,
    description: record.Description,
    size: Number(record.Size),
    mutable: record.Mutable,
    inUse: record.InUse,
    shared: record.Shared,
    parents: record.Parents,
    created: dateOf(record.CreatedAt),
    lastUsed: dateOf(record.LastUsedAt),
    uses: Number(record.UsageCount),
  };
}
