import { randomUUID } from "node:crypto";
import type { Environment } from "@melange2/core";
import { isRunning } from "@melange2-tooling/machine";
import { provided } from "@melange2-tooling/services";
import { beforeEach, describe, expect, test } from "vitest";
import { busyboxEnvironment } from "./daemons.ts";
import { after, openBuild } from "./open-build.ts";

/** As in an unprivileged container: what a step starts is in no process namespace of its own, and the daemon's processes are in sight. */
describe("a rootless daemon without process sandbox", () => {
  let address: string;
  let environment: Environment;
  beforeEach((test) => {
    address = provided(test, "MELANGE2_TEST_BUILDKIT_ROOTLESS");
    environment = busyboxEnvironment(provided(test, "MELANGE2_TEST_BUSYBOX_TAR"));
  });
  const open = () => openBuild(address, environment);
  const nonce = randomUUID();
  let scripts = 0;
  /** Leaves a process that only SIGKILL ends; the nonce is among its arguments. */
  const script = (rest: string) =>
    `: ${nonce} ${scripts++}; (trap '' HUP TERM; while sleep 0.1; do :; done) 2>/dev/null & ${rest}`;

  test("keeps running, and nothing that a step has started does", async () => {
    await using build = await open();
    const good = await build.run(build.start, script("sleep 1; echo good"));
    expect([good.result.ok, good.output, isRunning(nonce)]).toEqual([true, "good\n", false]);
    const users = "echo 'other:x:1000:1000::/:/bin/sh' >> /etc/passwd";
    const other = await build.run(after(good), script(`${users}; su other -c "exec sleep 100" & sleep 1; echo other`));
    expect([other.result.ok, other.output, isRunning(nonce)]).toEqual([true, "other\n", false]);
    const failing = await build.run(after(good), script("trap '' TERM; kill 0; echo bad; exit 7"));
    expect(failing.result).toMatchObject({ ok: false, exit: { code: 7, reason: "exit" } });
    expect(failing.output).toBe("bad\n");
    const slow = await build.run(after(good), script("sleep 100"), { timeout: 1 });
    expect(slow.result).toMatchObject({ ok: false, exit: { code: 124, reason: "timeout" } });
    expect(isRunning(nonce)).toBe(false);
  });

  test("ends a step that is interrupted, and keeps its state", async () => {
    await using build = await open();
    const stop = new AbortController();
    const { result } = await build.run(
      build.start,
      script("echo begun; sleep 100"),
      {},
      {
        signal: stop.signal,
        onOutput: () => stop.abort(),
      },
    );
    expect(result).toMatchObject({ ok: false, exit: { reason: "interrupted" }, atFailure: { id: expect.any(String) } });
    expect(isRunning(nonce)).toBe(false);
  });
});
