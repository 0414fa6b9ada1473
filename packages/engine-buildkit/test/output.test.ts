import { randomUUID } from "node:crypto";

import { testStep, testUnit } from "@melange2/testkit";
import { expect, test } from "vitest";
import { everyRun, never } from "./daemons.ts";
import { describeOn } from "./open-build.ts";

describeOn(everyRun, "output on $name", (open) => {
  test("is whole, also where the daemon clips its log, and ends however the step does", async () => {
    await using build = await open();
    // 5 MB within a second, more than a daemon's log takes.
    const chatty = (end: string) => `: ${randomUUID()}; seq 1 700000; echo the end; ${end}`;
    for (const end of ["exit 0", "exit 1", "kill -KILL $$"]) {
      const { output } = await build.run(build.start, chatty(end));
      const lines = output.trimEnd().split("\n");
      expect(lines.length).toBe(700_001);
      expect(lines.every((line, index) => line === (index === 700_000 ? "the end" : String(index + 1)))).toBe(true);
    }
  });

  test("comes while the step runs", async () => {
    await using build = await open();
    const stop = new AbortController();
    const { output, result } = await build.run(
      build.start,
      `: ${randomUUID()}; echo live; sleep 600`,
      {},
      {
        signal: stop.signal,
        onOutput: () => stop.abort(),
      },
    );
    expect(output).toBe("live\n");
    expect(result).toMatchObject({
      ok: false,
      exit: { code: 130, reason: "interrupted" },
      atFailure: { id: expect.any(String) },
    });
  });

  test("of a unit's steps is kept apart, however much and whatever it is", async () => {
    await using build = await open();
    const step = (index: number, script: string) => testStep(`test-${index}`, `: ${randomUUID()}; ${script}`);
    const unit = testUnit(
      step(0, "seq 1 500000; printf '\\001m2-'; printf 'no newline'"),
      step(1, "echo error >&2; seq 1 500000 >&2"),
      step(2, "printf 'last\\n'; exit 4"),
    );
    const texts = unit.steps.map(() => ({ stdout: "", stderr: "" }));
    const result = await build.session.run(unit, build.start, {
      signal: never,
      onOutput: ({ step: index, stream, data }) => {
        const text = texts[index];
        if (text !== undefined) text[stream] += Buffer.from(data).toString("latin1");
      },
    });
    const numbers = Array.from({ length: 500_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(texts[0]?.stdout === `${numbers}\u0001m2-no newline`).toBe(true);
    expect(texts[1]?.stderr === `error\n${numbers}`).toBe(true);
    expect([texts[0]?.stderr, texts[1]?.stdout, texts[2]?.stdout, texts[2]?.stderr]).toEqual(["", "", "last\n", ""]);
    expect(result).toMatchObject({ ok: false, step: 2, exit: { code: 4 } });
  });
});
