import { gunzipSync } from "node:zlib";
import { type BuildkitClient, connect, type Job } from "@melange2/buildkit-client";
import type { RunOptions, Snapshot, StateRef } from "@melange2/core";
import { expect, test } from "vitest";
import { counted } from "./counted.ts";
import { never, steadyDaemons } from "./daemons.ts";
import { prune } from "./lose-records.ts";
import { after, atFailure, describeOn, type Ran, type TestBuild } from "./open-build.ts";

/** A daemon keeps a step's root and its result apart: either may be gone, or be held by somebody, while the other is not. */
describeOn(steadyDaemons, "results that $name has lost one by one", (open, address) => {
  /** A step that fails unless /count/good is there, and tells in its root how often it has run. */
  function flaky() {
    const { mounts, script, look, log } = counted();
    const text = script(
      "ran",
      "wc -l < /count/log | tee /made; test ! -e /count/slow || sleep 100; test -e /count/good || exit 7",
    );
    const run = (build: TestBuild, options: Partial<RunOptions> = {}) =>
      build.run(build.start, text, { mounts }, options);
    const set = (build: TestBuild, what: "good" | "slow", yes: boolean) =>
      look(build, `${yes ? "touch" : "rm"} /count/${what}`);
    const made = async (build: TestBuild, at: Snapshot) =>
      (await build.run(at, `cat /made # ${crypto.randomUUID()}`)).output.trim();
    return { run, set, made, log };
  }

  /** Has the daemon lose one of the two. */
  const lose = (client: BuildkitClient, ref: StateRef, which: "root" | "result") =>
    prune(client, ref, ({ description }) => description.startsWith("mount / ") === (which === "root"));

  const keep = (build: TestBuild, at: Snapshot) => build.session.keep(at, { signal: never });
  async function failedState(step: ReturnType<typeof flaky>): Promise<StateRef> {
    await using build = await open();
    return keep(build, atFailure(await step.run(build)));
  }

  /** The step is another from then on. */
  async function goodState(step: ReturnType<typeof flaky>, ...then: ["good" | "slow", boolean]): Promise<StateRef> {
    await using build = await open();
    await step.set(build, "good", true);
    const good = await step.run(build);
    await step.set(build, ...then);
    return keep(build, after(good));
  }

  const hold = (job: Job, ref: StateRef) => job.solve(gunzipSync(Buffer.from(String(ref.graph), "base64")));
  const failed = (ran: Ran) => (ran.result.ok ? "ok" : ran.result.exit.code);

  test("a failed root that is held by who looks at it is not taken for what a later run left", async () => {
    const step = flaky();
    await using client = await connect(address);
    const first = await failedState(step);
    {
      await using shell = client.job({ serve: { secrets: () => undefined } });
      await hold(shell, first);
      await using build = await open();
      const again = await step.run(build);
      expect([failed(again), again.output]).toEqual([7, "2\n"]);
      expect(await build.session.find(first, { signal: never }), "what is looked at is kept").toBeDefined();
    }
    await using build = await open();
    await step.set(build, "good", true);
    const good = await step.run(build);
    expect([failed(good), good.output, await step.made(build, after(good))]).toEqual(["ok", "3\n", "3"]);
    await using later = await open();
    const cached = await step.run(later);
    expect([cached.result, await step.made(later, after(cached))]).toEqual([
      expect.objectContaining({ ok: true, cached: true }),
      "3",
    ]);
  });

  test.each(["root", "result"] as const)(
    "a good step whose %s is gone runs again, and what it comes to counts",
    async (which) => {
      const step = flaky();
      await using client = await connect(address);
      const ref = await goodState(step, "good", false);
      await lose(client, ref, which);
      await using build = await open();
      expect(await build.session.find(ref, { signal: never })).toBeUndefined();
      const again = await step.run(build);
      expect(failed(again)).toBe(7);
      const runs = await step.log(build);
      expect(again.output.endsWith(`${runs.length}\n`)).toBe(true);
      expect(await step.made(build, atFailure(again))).toBe(String(runs.length));
      const kept = await keep(build, atFailure(again));
      await using later = await open();
      expect(await later.session.find(kept, { signal: never })).toBeDefined();
    },
  );

  test("what an interrupt leaves of a step whose root was gone is not taken for done", async () => {
    const step = flaky();
    await using client = await connect(address);
    const ref = await goodState(step, "slow", true);
    await lose(client, ref, "root");
    {
      await using build = await open();
      const stop = new AbortController();
      const interrupted = step.run(build, { signal: stop.signal, onOutput: () => stop.abort() });
      await expect(interrupted).rejects.toMatchObject({ code: "interrupted" });
    }
    await using build = await open();
    await step.set(build, "slow", false);
    const again = await step.run(build);
    expect(again.result).toMatchObject({ ok: true, cached: false });
    expect(await step.made(build, after(again))).toBe("3");
  });

  test("a step whose result is gone is made again beside who holds its root", async () => {
    const step = flaky();
    await using client = await connect(address);
    const ref = await failedState(step);
    await lose(client, ref, "result");
    await using shell = client.job({ serve: { secrets: () => undefined } });
    await hold(shell, ref);
    await using build = await open();
    const again = await step.run(build);
    expect([failed(again), again.output, await step.made(build, atFailure(again))]).toEqual([7, "2\n", "2"]);
  });
});
