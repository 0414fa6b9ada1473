import { isMelangeError, MelangeError, noSecrets } from "@melange2/core";
import { type FailureStore, failureStore, type KeptStates, type StoredFailure } from "@melange2/records";
import { Args, Flags } from "@oclif/core";
import type { EngineRequest } from "../../build/engine-request.ts";
import { refsOf } from "../../build/keep-failure.ts";
import { openEngine } from "../../build/open-engine.ts";
import { DebugCommand } from "../../debug/debug-command.ts";
import { exitCodes } from "../../exit-code.ts";

export default class DebugPrune extends DebugCommand {
  static override summary = "Forget a failed build and free its state";
  static override args = { build: Args.string({ description: "Id, or its beginning", ignoreStdin: true }) };
  static override flags = {
    all: Flags.boolean({ description: "Every kept build", default: false }),
    force: Flags.boolean({ description: "Also builds whose states cannot be freed", default: false }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DebugPrune);
    if (flags.all === (args.build !== undefined)) {
      throw new MelangeError("usage", "say which build to forget", { hint: "melange2 debug prune BUILD, or --all" });
    }
    await this.startProgress();
    const store = failureStore(this.locations.builds);
    const { chosen, broken } = await this.choose(store, args.build);
    const byEngine = Map.groupBy(chosen, ({ states }) => JSON.stringify(engineOf(states)));
    const notFreed: string[] = [];
    for (const same of byEngine.values()) notFreed.push(...(await this.free(same, store)));
    const gone = [...chosen.map(({ id }) => id).filter((id) => flags.force || !notFreed.includes(id)), ...broken];
    for (const id of gone) await store.remove(id);
    this.endProgress();
    if (gone.length > 0) this.print(`forgot ${gone.length === 1 ? gone[0] : `${gone.length} builds`}\n`);
    this.result({ forgotten: gone, notFreed });
    if (notFreed.length > 0 && !flags.force) process.exitCode = exitCodes.engine;
  }

  /** Where the beginning of an id is given, it is that of one build, readable or not. */
  private async choose(
    store: FailureStore,
    build: string | undefined,
  ): Promise<{ readonly chosen: readonly StoredFailure[]; readonly broken: readonly string[] }> {
    const { failures, unreadable } = await store.list();
    if (build === undefined) return { chosen: failures, broken: unreadable.map(({ id }) => id) };
    const broken = unreadable.map(({ id }) => id).filter((id) => id.startsWith(build));
    const only = broken.length === 1 && !failures.some(({ id }) => id.startsWith(build));
    return only ? { chosen: [], broken } : { chosen: [await store.read(build)], broken: [] };
  }

  /** Has one engine drop the states of its builds, and forgets those. Gives the builds where it could not, which is told. */
  private async free(failures: readonly StoredFailure[], store: FailureStore): Promise<readonly string[]> {
    const [first] = failures;
    if (first === undefined) return [];
    const { signal } = this;
    const left = new Map(failures.map(({ id, states }) => [id, refsOf(states)]));
    const tellNotFreed = (ids: readonly string[], error: unknown) => {
      if (!isMelangeError(error) || error.code === "interrupted") throw error;
      const why = [error, ...error.problems].map(({ message }) => message).join(": ");
      this.tell({
        type: "notice",
        level: "warning",
        message: `the states of ${ids.join(", ")} could not be freed: ${why}`,
        hint: "Mend that; or add --force to forget the builds all the same, where the engine is gone with what it holds.",
      });
    };
    try {
      await using session = await openEngine({
        contributions: this.contributions,
        locations: this.locations,
        engine: engineOf(first.states),
        secrets: noSecrets,
        network: false,
        tell: this.tell,
        signal,
      });
      const known = await store.allStates();
      if (known !== undefined) await session.dropStrays?.(known, { signal });
      for (const [id, refs] of left) {
        try {
          for (const ref of refs) await session.drop(ref, { signal });
          await store.remove(id);
          left.delete(id);
        } catch (error) {
          tellNotFreed([id], error);
        }
      }
    } catch (error) {
      tellNotFreed([...left.keys()], error);
    }
    return [...left.keys()];
  }
}

function engineOf({ engine, options = {} }: KeptStates): EngineRequest {
  return { name: engine, options };
}
