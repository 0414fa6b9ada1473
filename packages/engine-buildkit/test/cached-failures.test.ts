import { connect } from "@melange2/buildkit-client";

import { expect, test } from "vitest";
import { recordsOf } from "../src/daemon-records.ts";
import { counted } from "./counted.ts";
import { everyRun, forgetfulDaemons, never, steadyDaemons } from "./daemons.ts";
import { prune } from "./lose-records.ts";
import { after, atFailure, describeOn } from "./open-build.ts";

const steady = everyRun.filter((daemon) => steadyDaemons.includes(daemon));

describeOn(forgetfulDaemons, "failures on $name", (open) => {
  test("the same failing build fails each time with its real log, whatever the daemon has lost", async () => {
    const { mounts, script } = counted();
    for (const _ of [1, 2, 3]) {
      await using build = await open();
      const good = await build.run(build.start, script("good", "echo good"), { mounts });
      const bad = await build.run(after(good), script("bad", "echo going wrong; exit 7"), { mounts });
      expect(bad.output).toBe("going wrong\n");
      expect(bad.result).toMatchObject({ ok: false, step: 0, exit: { code: 7, reason: "exit" } });
    }
  });
});

/** A failed step's state is the daemon's own cached result, which a later build must neither take for news nor trip over. */
describeOn(steady, "failures in the cache of $name", (open, address) => {
  test("the same failing build has its real log each time, and runs no good step again", async () => {
    const { mounts, script, log } = counted();
    for (const _ of [1, 2, 3]) {
      await using build = await open();
      const good = await build.run(build.start, script("good", "echo good"), { mounts });
      const bad = await build.run(after(good), script("bad", "echo going wrong; exit 7"), { mounts });
      expect(bad.output).toBe("going wrong\n");
      expect(bad.result).toMatchObject({ ok: false, step: 0, exit: { code: 7, reason: "exit" } });
    }
    await using build = await open();
    expect(await log(build)).toEqual(["good", "bad", "bad", "bad"]);
  });

  test("a failing step that then succeeds is cached from there on", async () => {
    const { mounts, script, log } = counted();
    const flaky = script("flaky", "test -e /count/fixed || { touch /count/fixed; exit 1; }");
    const outcomes: unknown[] = [];
    for (const _ of [1, 2, 3]) {
      await using build = await open();
      const { result } = await build.run(build.start, flaky, { mounts });
      outcomes.push(result.ok ? result.cached : "failed");
    }
    expect(outcomes).toEqual(["failed", false, true]);
    await using build = await open();
    expect(await log(build)).toEqual(["flaky", "flaky"]);
  });

  test("two clients that fail in the same step at once both see it happen", async () => {
    const { mounts, script } = counted();
    const failing = script("bad", "sleep 1; echo going wrong; exit 7");
    await using one = await open();
    await using other = await open();
    const both = await Promise.all([one, other].map((build) => build.run(build.start, failing, { mounts })));
    for (const { output, result } of both) {
      expect(output).toBe("going wrong\n");
      expect(result).toMatchObject({ ok: false, exit: { code: 7 } });
    }
    for (const [index, build] of [one, other].entries()) {
      const ref = await build.session.keep(atFailure(both[index] as (typeof both)[0]), { signal: never });
      expect(await build.session.find(ref, { signal: never })).toBeDefined();
    }
  });

  test("two clients that fail at once, one after the other in the end, leave the daemon what it has besides", async () => {
    for (let round = 0; round < 10; round++) {
      const { mounts, script } = counted();
      const fail = async () => {
        await using build = await open();
        const good = await build.run(build.start, script("good", "echo > /made"), { mounts });
        await build.run(after(good), script("bad", "exit 7"), { mounts });
        return build.session.keep(after(good), { signal: never });
      };
      const [ref] = await Promise.all([fail(), fail()]);
      await using build = await open();
      expect(await build.session.find(ref, { signal: never }), `in round ${round}`).toBeDefined();
    }
  });

  test("a kept state is not taken for what the same step left when it ran again", async () => {
    const { mounts, script } = counted();
    const failing = script("bad", "cat /proc/sys/kernel/random/uuid > /made; exit 7");
    const keep = async () => {
      await using build = await open();
      const failed = await build.run(build.start, failing, { mounts });
      return build.session.keep(atFailure(failed), { signal: never });
    };
    const [first, second] = [await keep(), await keep()];
    await using build = await open();
    expect(await build.session.find(first, { signal: never })).toBeUndefined();
    expect(await build.session.find(second, { signal: never })).toBeDefined();
  });

  test("a state that was pruned is gone, and nothing runs to have it again", async () => {
    const { mounts, script, log } = counted();
    const keep = async () => {
      await using build = await open();
      const failed = await build.run(build.start, script("bad", "exit 7"), { mounts });
      return build.session.keep(atFailure(failed), { signal: never });
    };
    const ref = await keep();
    await using client = await connect(address);
    expect(await recordsOf(client, String(ref.marker), never)).toHaveLength(2);
    await prune(client, ref);
    await using build = await open();
    expect(await build.session.find(ref, { signal: never })).toBeUndefined();
    expect(await log(build)).toEqual(["bad"]);
  });

  test("dropping a failed state frees it, and leaves what good steps left", async () => {
    const { mounts, script, log } = counted();
    const { signal } = new AbortController();
    const refs = [];
    {
      await using build = await open();
      const good = await build.run(build.start, script("good", "echo > /made"), { mounts });
      const bad = await build.run(after(good), script("bad", "head -c 100000 /dev/urandom > /junk; exit 7"), {
        mounts,
      });
      refs.push(
        await build.session.keep(after(good), { signal }),
        await build.session.keep(atFailure(bad), { signal }),
      );
    }
    await using build = await open();
    expect(await build.session.keptBytes(refs, { signal })).toBeGreaterThan(100_000);
    for (const ref of refs) await build.session.drop(ref, { signal });
    expect(await build.session.keptBytes(refs, { signal })).toBe(0);
    const [good, bad] = await Promise.all(refs.map((ref) => build.session.find(ref, { signal })));
    expect([good === undefined, bad === undefined]).toEqual([false, true]);
    expect(await log(build)).toEqual(["good", "bad"]);
  });
});
