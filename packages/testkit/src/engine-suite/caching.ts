import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Step } from "@melange2/core";
import { testUnit } from "../plan-parts.ts";
import { type Bench, type Declare, texts } from "./bench.ts";

const makeId = "cat /proc/sys/kernel/random/uuid > /suite/id; echo ran";

/** What is executed, and what is not. */
export function declareCaching(declare: Declare): void {
  declare("what succeeded before is not executed again, and says so", async (bench) => {
    const unit = bench.unit(makeId);
    const first = await bench.run(unit, bench.start);
    const second = await bench.run(unit, bench.start);
    assert.ok(first.result.ok && second.result.ok);
    assert.deepEqual([first.result.cached, second.result.cached], [false, true]);
    assert.deepEqual([first.stdout[0], second.stdout[0]], ["ran\n", ""]);
    const id = texts(await bench.look(first.result.after, "/suite")).id;
    assert.equal(texts(await bench.look(second.result.after, "/suite")).id, id, "the cached state is another");
  });

  declare("another session of the engine finds it, too", async (bench) => {
    const unit = bench.unit(makeId);
    const first = await bench.run(unit, bench.start);
    await using again = await bench.again();
    const second = await again.run(unit, again.start);
    assert.ok(first.result.ok && second.result.ok && second.result.cached);
    const id = texts(await bench.look(first.result.after, "/suite")).id;
    assert.ok(id, "the step was not executed");
    assert.equal(texts(await again.look(second.result.after, "/suite")).id, id);
  });

  const changes: readonly [string, Partial<Step>][] = [
    ["script", { script: `${makeId} ` }],
    ["environment", { env: { CHANGED: "1" } }],
    ["workdir", { workdir: "/suite/open" }],
    ["capabilities", { capabilities: { add: [], drop: ["CAP_NET_RAW"] } }],
  ];
  for (const [what, change] of changes) {
    declare(`a step with another ${what} is another step`, async (bench) => {
      const step = bench.step(makeId);
      const env = { ...step.env, ...change.env };
      const unit = testUnit(step);
      await bench.run(unit, bench.start);
      const other = await bench.run({ ...unit, steps: [{ ...step, ...change, env }] }, bench.start);
      assert.ok(other.result.ok);
      assert.deepEqual([other.result.cached, other.stdout[0]], [false, "ran\n"]);
    });
  }

  declare("the same step on another state is executed", async (bench) => {
    const unit = bench.unit(makeId);
    await bench.run(unit, bench.start);
    const { result, stdout } = await bench.run(unit, await bench.succeed("echo other > /suite/other"));
    assert.ok(result.ok);
    assert.deepEqual([result.cached, stdout[0]], [false, "ran\n"]);
  });

  declare("a fresh run is executed, and its result kept apart from the build's", async (bench) => {
    const unit = bench.unit(makeId);
    const idOf = async (options: { fresh?: string }) => {
      const { result } = await bench.run(unit, bench.start, options);
      assert.ok(result.ok);
      return { cached: result.cached, id: texts(await bench.look(result.after, "/suite")).id };
    };
    const built = await idOf({});
    const fresh = await idOf({ fresh: "failure-1" });
    const later = await idOf({});
    assert.equal(fresh.cached, false);
    assert.notEqual(fresh.id, built.id, "the fresh run gave the cached state");
    assert.deepEqual(later, { cached: true, id: built.id }, "the fresh run has changed what the build finds");
  });

  declare("fresh runs go on from fresh states", async (bench) => {
    const [one, two] = [bench.unit("echo one > /suite/one"), bench.unit("cat /suite/one; rm /suite/one")];
    const first = await bench.run(one, bench.start, { fresh: "failure-1" });
    assert.ok(first.result.ok);
    const second = await bench.run(two, first.result.after, { fresh: "failure-1" });
    assert.ok(second.result.ok && !second.result.cached);
    assert.equal(second.stdout[0], "one\n");
  });

  declare(
    "each execution is one execution, counted outside of all states, in a mount that no state holds",
    async (bench) => {
      const source = await mkdtemp(join(tmpdir(), "melange2-suite-"));
      try {
        const mounts = [{ kind: "cache", source, target: "/suite/counter" }] as const;
        const unit = bench.unit("echo x >> /suite/counter/log", { mounts });
        const failing = bench.unit("echo x >> /suite/counter/log; exit 3", { mounts });
        let counts = 0;
        const count = async () => {
          // Another step each time: one that is cached would tell nothing.
          const env = { COUNT: String(counts++) };
          return Number(await bench.tell("wc -l < /suite/counter/log", bench.start, { mounts, env }));
        };
        const { result } = await bench.run(unit, bench.start);
        assert.equal(await count(), 1);
        await bench.run(unit, bench.start);
        assert.equal(await count(), 1, "a cached step was executed");
        await bench.run(unit, bench.start, { fresh: "failure-1" });
        assert.equal(await count(), 2, "a fresh run was not executed once");
        const failed = await bench.run(failing, bench.start);
        assert.equal(await count(), 3);
        assert.ok(result.ok && !failed.result.ok);
        for (const state of [result.after, failed.result.atFailure]) {
          if ("unavailable" in state) continue;
          await exported(bench, state);
          assert.deepEqual(
            [...(await bench.look(state, "/suite")).keys()].filter((path) => path.startsWith("counter/")),
            [],
          );
        }
        assert.equal(await count(), 3, "looking at a state has executed a step");
      } finally {
        await rm(source, { recursive: true });
      }
    },
  );
}

/** Everything that may be asked of a state afterwards. */
async function exported({ session, signal }: Bench, state: Parameters<Bench["look"]>[0]): Promise<void> {
  const ref = await session.keep(state, { signal });
  await session.find(ref, { signal });
  await session.drop(ref, { signal });
}
