import type { EngineSession } from "@melange2/core";
import type { BuildSpace } from "./build-space.ts";
import { capabilityNotices } from "./capability-notices.ts";
import { forget } from "./daemon-records.ts";
import { enterState } from "./enter-state.ts";
import { throwIfAborted, translated } from "./foreign-errors.ts";
import { hostFolderNotices } from "./host-folders.ts";
import { readState } from "./read-state.ts";
import { runUnit } from "./run-unit.ts";
import { searchStates } from "./search-states.ts";
import { baseSnapshot, buildkitSnapshot } from "./snapshot.ts";
import { dropState, findState, keptBytes, refOf } from "./state-refs.ts";

export function createSession(space: BuildSpace): EngineSession {
  const { client, daemon, job, options } = space;
  const notices = [hostFolderNotices(options), capabilityNotices(options)];
  return {
    can: {
      atFailure: options.capture,
      mtime: "s",
      claims: daemon.claims,
    },
    async load(environment, { signal }) {
      throwIfAborted(signal);
      try {
        const base = await daemon.addBase(environment, signal);
        await job.solve(base.state, signal);
        return baseSnapshot(base);
      } catch (error) {
        throw translated(error, "loading the environment");
      }
    },
    async run(unit, from, runOptions) {
      for (const tell of notices) tell(unit);
      return runUnit(space, unit, buildkitSnapshot(from), runOptions).catch((error: unknown) => {
        throw translated(error, `running ${unit.id}`);
      });
    },
    read: (at, path, { signal }) => readState(client, buildkitSnapshot(at).state, path, signal),
    search: async (states, needles, { signal }) => searchStates(space, states.map(buildkitSnapshot), needles, signal),
    image: (at, spec) => daemon.image(space, buildkitSnapshot(at), spec),
    keep: async (at) => refOf(buildkitSnapshot(at)),
    find: async (ref, { signal }) => findState(space, ref, signal),
    drop: async (ref, { signal }) => dropState(space, ref, signal),
    enter: async (at, options) => enterState(space, buildkitSnapshot(at), options),
    keptBytes: async (refs, { signal }) => keptBytes(space, refs, signal),
    async [Symbol.asyncDispose]() {
      await job.close();
      // Whether they go or stay changes nothing but the daemon's disk.
      const never = new AbortController().signal;
      for (const marker of space.ownRecords) await forget(client, marker, never).catch(() => {});
      await client.close();
    },
  };
}
