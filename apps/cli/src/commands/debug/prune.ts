import { isMelangeError, MelangeError, noSecrets } from "@melange2/core";
import { type FailureStore, failureStore, type KeptStates, type StoredFailure } from "@melange2/records";
import { Args, Flags } from "@oclif/core";
import type { EngineRequest } from "../../build/engine-request.ts";
import { refsOf } from "../../build/keep-failure.ts";
import { openEngine } from "../../build/open-engine.ts";
import { DebugCommand } from "../../debug/debug-command.ts";

export default class DebugPrune extends DebugCommand {
  static override summary = "Forget a failed build and free its state";
  static override args = { build: Args.string({ description: "Id, or its beginning", ignoreStdin: true }) };
  static override flags = { all: Flags.boolean({ description: "Every kept build", default: false }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DebugPrune);
    if (flags.all === (args.build !== undefined)) {
      throw new MelangeError("usage", "say which build to forget", { hint: "melange2 debug prune BUILD, or --all" });
    }
    await this.startProgress();
    const store = failureStore(this.locations.builds);
    const { chosen, broken } = await this.choose(store, args.build);
    for (const id of broken) await store.remove(id);
    const byEngine = Map.groupBy(chosen, ({ states }) => JSON.stringify(engineOf(states)));
    const notFreed: string[] = [];
    for (const same of byEngine.values()) {
      notFreed.push(...(await this.free(same, store)));
    }
    this.endProgress();
    const gone = [...chosen.map((failure) => failure.id), ...broken];
    this.print(`forgot ${gone.length === 1 ? gone[0] : `${gone.length} builds`}\n`);
    this.result({ forgotten: gone, notFreed });
  }

  /** Where the beginning of an id is given, it is that of one build, readable or not. */
  private async choose(
    store: FailureStore,
    build: string | undefined,
  ): Promise<{ readonly chosen: readonly StoredFailure[]; readonly broken: readonly string[] }> {
    const { failures, unreadable } = await store.list();
    if (build === undefined) return { chosen: failures, broken: unreadable };
    const broken = unreadable.filter((id) => id.startsWith(build));
    const only = broken.length === 1 && !failures.some(({ id }) => id.startsWith(build));
    return only ? { chosen: [], broken } : { chosen: [await store.read(build)], broken: [] };
  }

  /** Forgets builds of one engine. Gives those whose states it could not drop, which is told: an engine that is gone keeps nobody's records. */
  private async free(failures: readonly StoredFailure[], store: FailureStore): Promise<readonly string[]> {
    const [first] = failures;
    if (first === undefined) return [];
    const { onEvent, signal } = this;
    const left = new Set(failures.map(({ id }) => id));
    try {
      await using session = await openEngine({
        contributions: this.contributions,
        locations: this.locations,
        engine: engineOf(first.states),
        secrets: noSecrets,
        network: false,
        onEvent,
        signal,
      });
      for (const { id, states } of failures) {
        for (const ref of refsOf(states)) await session.drop(ref, { signal });
        await store.remove(id);
        left.delete(id);
      }
    } catch (error) {
      if (!isMelangeError(error) || error.code === "interrupted") throw error;
      const why = [error, ...error.problems].map(({ message }) => message).join(": ");
      onEvent({
        type: "notice",
        level: "warning",
        message: `the states of ${[...left].join(", ")} could not be freed: ${why}`,
        hint: `What the engine "${first.states.engine}" still holds of them has to be freed by its own means.`,
      });
      for (const id of left) await store.remove(id);
    }
    return [...left];
  }
}

function engineOf({ engine, options = {} }: KeptStates): EngineRequest {
  return { name: engine, options };
}
