import { randomUUID } from "node:crypto";

import { expect, test } from "vitest";
import { daemons, never } from "./daemons.ts";
import { after, describeOn } from "./open-build.ts";

describeOn(daemons, "a state without a shell, on $name", (open) => {
  test("is the failure of the step that cannot start, and the state before it is there", async () => {
    await using build = await open();
    const broken = await build.run(build.start, `: ${randomUUID()}; echo > /made; rm /bin/sh`);
    const next = await build.run(after(broken), "echo never");
    expect(next.result).toMatchObject({
      ok: false,
      exit: { code: 127, reason: "exit" },
      atFailure: { unavailable: expect.stringContaining("/bin/sh") },
    });
    expect(next.output).toContain('exec: "/bin/sh"');
    const before = build.session.read(after(broken), "/made", { signal: never });
    expect((await Array.fromAsync(before)).length).toBeGreaterThan(0);
  });

  test("says so to who wants to enter it", async () => {
    await using build = await open();
    const broken = await build.run(build.start, `: ${randomUUID()}; rm /bin/sh`);
    const entering = build.session.enter?.(after(broken), {
      signal: never,
      argv: ["/bin/sh"],
      env: {},
      workdir: "/",
      user: { uid: 0, gid: 0 },
      mounts: [],
      files: [],
      secretEnv: [],
      tty: { interactive: false },
    });
    await expect(entering).rejects.toMatchObject({
      code: "engine",
      message: "this state has no /bin/sh that runs",
      hint: expect.stringContaining("debug cp"),
    });
  });
});
