import { randomUUID } from "node:crypto";
import type { Environment } from "@melange2/core";
import { beforeAll, describe, expect, test } from "vitest";
import { busyboxEnvironment, daemons, never } from "./daemons.ts";
import { after, openBuild } from "./open-build.ts";

const tar = process.env.MELANGE2_TEST_BUSYBOX_TAR;

describe.each(daemons)("a state without a shell, on $name", ({ address = "" }) => {
  describe.skipIf(address === "" || tar === undefined)("", () => {
    let environment: Environment;
    beforeAll(() => {
      environment = busyboxEnvironment(tar as string);
    });

    test("is the failure of the step that cannot start, and the state before it is there", async () => {
      await using build = await openBuild(address, environment);
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
  });
});
