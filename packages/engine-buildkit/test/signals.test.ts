import { randomUUID } from "node:crypto";

import { expect, test } from "vitest";
import { everyRun } from "./daemons.ts";
import { describeOn } from "./open-build.ts";

describeOn(everyRun, "signals of a step on $name", (open) => {
  const cases = [
    ["end it by SIGINT as by any other", "kill -INT $$; echo survived", { code: 130, reason: "signal" }, ""],
    [
      "reach the handlers of what it starts",
      `sh -c 'trap "echo caught" INT; kill -INT $$'; exit 3`,
      { code: 3 },
      "caught\n",
    ],
    [
      "to its whole process group leave the output whole",
      "trap '' TERM; sleep 100 & echo a; kill 0; echo b; exit 3",
      { code: 3, reason: "exit" },
      "a\nb\n",
    ],
    [
      "are no time limit and no stop",
      "trap '' USR1 USR2; kill -USR1 0; kill -USR2 0; exit 3",
      { code: 3, reason: "exit" },
      "",
    ],
  ] as const;
  test.each(cases)("%s", async (_, script, exit, output) => {
    await using build = await open();
    const ran = await build.run(build.start, `: ${randomUUID()}; ${script}`);
    expect(ran.result).toMatchObject({ ok: false, exit });
    expect(ran.output).toBe(output);
  });

  test("that end every sleep leave it its time limit", async () => {
    await using build = await open();
    const hanging = `: ${randomUUID()}; killall sleep; while :; do :; done`;
    const ran = await build.run(build.start, hanging, { timeout: 2 });
    expect(ran.result).toMatchObject({ ok: false, exit: { code: 124, reason: "timeout" } });
  });
});
