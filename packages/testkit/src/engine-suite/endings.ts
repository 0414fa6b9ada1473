import assert from "node:assert/strict";
import type { Snapshot } from "@melange2/core";
import { testUnit } from "../plan-parts.ts";
import { assertRejects, type Bench, type Declare, type Ran, texts } from "./bench.ts";

const noStates = "this engine has no states at failure";

/** How steps end, and the state of those that fail. */
export function declareEndings(declare: Declare): void {
  for (const code of [1, 2, 42, 126, 255]) {
    declare(`exit code ${code} is told as it is`, async (bench) => {
      const { result } = await bench.run(bench.unit(`exit ${code}`), bench.start);
      assert.ok(!result.ok);
      assert.deepEqual([result.step, result.exit], [0, { code, reason: "exit" }]);
    });
  }

  declare("a program that is not there, and one that a signal ends", async (bench) => {
    assert.equal(failure(await bench.run(bench.unit("no-such-program"), bench.start)).exit.code, 127);
    const killed = await bench.run(bench.unit("sh -c 'kill -TERM $$'; exit $?"), bench.start);
    assert.equal(failure(killed).exit.code, 143);
  });

  declare("a step that a signal of its own ends, Ctrl-C's too, ends as by that signal", async (bench) => {
    for (const [signal, code] of [
      ["TERM", 143],
      ["INT", 130],
    ] as const) {
      const ran = await bench.run(bench.unit(`echo said; kill -${signal} $$; echo late`), bench.start);
      assert.deepEqual([failure(ran).exit, ran.stdout[0]], [{ code, reason: "signal" }, "said\n"], signal);
    }
  });

  declare("a handler for Ctrl-C's signal runs, in the step's shell and in one that it starts", async (bench) => {
    const handler = "trap 'echo handled' INT; kill -INT $$; echo after";
    assert.equal(await bench.tell(handler), "handled\nafter");
    assert.equal(await bench.tell(`sh -c "${handler.replaceAll("$", "\\$")}"`), "handled\nafter");
  });

  declare(
    "the state at failure has what the step did so far, deletions too, and the state before has nothing of it",
    async (bench, context) => {
      if (!bench.session.can.atFailure) return context.skip(noStates);
      const unit = bench.unit(
        "set -e; cd /suite; echo -n partial > made; rm delete; echo -n half > change; false; echo no > late",
      );
      const files = await filesAtFailure(bench, await bench.run(unit, bench.start));
      assert.deepEqual(
        {
          made: files?.made,
          change: files?.change,
          delete: files?.delete,
          late: files?.late,
          keep: files?.keep ?? files?.hard,
        },
        { made: "partial", change: "half", delete: undefined, late: undefined, keep: "keep" },
      );
      const before = texts(await bench.look(bench.start, "/suite"));
      assert.deepEqual([before.made, before.change, before.delete], [undefined, "before", "delete"]);
    },
  );

  declare("steps run on from a state at failure", async (bench, context) => {
    const ran = await bench.run(bench.unit("echo -n partial > /suite/made; exit 1"), bench.start);
    const state = atFailure(bench, ran);
    if (!state) return context.skip(noStates);
    assert.equal(await bench.tell("cat /suite/made", state), "partial");
  });

  declare("a failing step fails each time it is run, with its output", async (bench) => {
    const unit = bench.unit("echo out; echo err >&2; echo x >> /suite/count; exit 5");
    for (const _ of [1, 2]) {
      const ran = await bench.run(unit, bench.start);
      assert.deepEqual([failure(ran).exit.code, ran.stdout[0], ran.stderr[0]], [5, "out\n", "err\n"]);
      const files = await filesAtFailure(bench, ran);
      if (files) assert.equal(files.count, "x\n");
    }
  });

  declare("a timeout ends the step with everything it started, and keeps its state", async (bench) => {
    const unit = bench.unit("trap '' TERM; echo -n partial > /suite/made; sleep 600 & sleep 600", { timeout: 1 });
    const ran = await bench.run(unit, bench.start);
    assert.deepEqual(failure(ran).exit, { code: 124, reason: "timeout" });
    const files = await filesAtFailure(bench, ran);
    if (files) assert.equal(files.made, "partial");
  });

  declare("a step that ends in time is not touched by its timeout", async (bench) => {
    assert.equal(await bench.tell("echo done", bench.start, { timeout: 60 }), "done");
  });

  declare("an interrupt is a result, its state kept where the engine can, and the session goes on", async (bench) => {
    const stop = new AbortController();
    const unit = bench.unit("echo -n partial > /suite/made; echo ready; sleep 600; echo late > /suite/late");
    const onOutput = () => stop.abort();
    const ran = await bench.run(unit, bench.start, { signal: stop.signal, onOutput });
    const { exit, atFailure: state } = failure(ran);
    assert.deepEqual(exit, { code: 130, reason: "interrupted" });
    if ("unavailable" in state) assert.match(state.unavailable, /\S/);
    else {
      const files = texts(await bench.look(state, "/suite"));
      assert.deepEqual([files.made, files.late], ["partial", undefined]);
    }
    assert.equal(await bench.tell("echo alive"), "alive");
  });

  declare("nothing runs under a signal that is aborted already", async (bench) => {
    const signal = AbortSignal.abort();
    const unit = bench.unit("echo ran");
    await assertRejects(bench.session.run(unit, bench.start, { signal, onOutput: () => {} }), "interrupted");
    const { stdout } = await bench.run(unit, bench.start);
    assert.equal(stdout[0], "ran\n", "it was not run, and not cached, before");
  });

  declare(
    "the steps of a unit run in order in one process tree, and what one leaves running serves the next",
    async (bench) => {
      const unit = testUnit(
        bench.step(
          "mkfifo /suite/in; (cat /suite/in > /suite/out; echo end >> /suite/out) & cd /tmp; LOCAL=1; export LOCAL",
        ),
        // Where the reader is gone, this waits: the timeout makes that a failure.
        bench.step('test -z "$LOCAL"; echo hello > /suite/in; until grep -q end /suite/out; do sleep 0.1; done', {
          timeout: 20,
        }),
        bench.step("cat /suite/out"),
      );
      const ran = await bench.run(unit, bench.start);
      assert.ok(ran.result.ok, ran.stderr.join("\n"));
      assert.equal(ran.stdout[2], "hello\nend\n");
      assert.deepEqual(
        ran.events.filter(([, event]) => event === "start").map(([index]) => index),
        [0, 1, 2],
      );
    },
  );

  declare("a unit ends when its last step does, whatever still runs, and its processes end with it", async (bench) => {
    const after = await bench.succeed("sleep 600 &");
    assert.equal(await bench.tell('ps | grep "[s]leep 600" || echo gone', after), "gone");
  });

  declare(
    "a unit stops at its failing step; its state has the steps before and nothing of those after",
    async (bench) => {
      const unit = testUnit(
        bench.step("echo -n one > /suite/one"),
        bench.step("echo -n two > /suite/two; exit 9"),
        bench.step("echo -n three > /suite/three"),
      );
      const ran = await bench.run(unit, bench.start);
      assert.deepEqual([failure(ran).step, failure(ran).exit.code], [1, 9]);
      const files = await filesAtFailure(bench, ran);
      if (files) assert.deepEqual([files.one, files.two, files.three], ["one", "two", undefined]);
    },
  );

  declare("the first steps of a unit can be run as a unit of their own", async (bench) => {
    const steps = [bench.step("echo -n one > /suite/one"), bench.step("exit 9")] as const;
    failure(await bench.run(testUnit(...steps), bench.start));
    const { result } = await bench.run(testUnit(steps[0]), bench.start, { fresh: "failure-1" });
    assert.ok(result.ok);
    assert.equal(texts(await bench.look(result.after, "/suite")).one, "one");
  });
}

function failure({ result }: Pick<Ran, "result">): Extract<Ran["result"], { ok: false }> {
  assert.ok(!result.ok, "the step was expected to fail");
  return result;
}

/** The state at failure; undefined where the engine promises none, a test failure where it breaks its promise. */
function atFailure({ session }: Bench, ran: Pick<Ran, "result">): Snapshot | undefined {
  const { atFailure: state } = failure(ran);
  if (!("unavailable" in state)) return state;
  assert.match(state.unavailable, /\S/, "unavailable says why");
  assert.ok(!session.can.atFailure, `the engine promises the state at failure and has none: ${state.unavailable}`);
  return undefined;
}

/** The files under `/suite` of a state at failure; undefined where the engine promises none. */
async function filesAtFailure(
  bench: Bench,
  ran: Pick<Ran, "result">,
): Promise<Readonly<Record<string, string>> | undefined> {
  const state = atFailure(bench, ran);
  return state && texts(await bench.look(state, "/suite"));
}
