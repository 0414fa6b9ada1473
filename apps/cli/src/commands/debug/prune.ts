import { MelangeError, noSecrets } from "@melange2/core";
import { failureStore, type StoredFailure } from "@melange2/records";
import { Args, Flags } from "@oclif/core";
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
    const store = failureStore(this.locations.builds);
    const { failures, unreadable } = await store.list();
    const broken = flags.all ? unreadable : unreadable.filter((id) => id.startsWith(args.build ?? ""));
    const chosen = flags.all ? failures : broken.length > 0 ? [] : [await store.read(args.build)];
    const engineOf = ({ states }: StoredFailure) => ({ name: states.engine, options: states.options ?? {} });
    const byEngine = Map.groupBy(chosen, (failure) => JSON.stringify(engineOf(failure)));
    for (const same of byEngine.values()) {
      const [first] = same;
      if (first === undefined) continue;
      await using session = await openEngine({
        contributions: this.contributions,
        locations: this.locations,
        engine: engineOf(first),
        secrets: noSecrets,
        network: false,
        onEvent: this.onEvent,
        signal: this.signal,
      });
      for (const failure of same) {
        for (const ref of refsOf(failure.states)) await session.drop(ref, { signal: this.signal });
        await store.remove(failure.id);
      }
    }
    for (const id of broken) await store.remove(id);
    const gone = [...chosen.map((failure) => failure.id), ...broken];
    this.print(`forgot ${gone.length === 1 ? gone[0] : `${gone.length} builds`}\n`);
    this.result({ forgotten: gone });
  }
}
