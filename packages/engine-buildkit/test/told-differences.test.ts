import type { Finding } from "@melange2/core";
import { describe, expect, test } from "vitest";
import { busyboxEnvironment, everyRun, imageSpec, never } from "./daemons.ts";
import { after, openBuild } from "./open-build.ts";

const tar = process.env.MELANGE2_TEST_BUSYBOX_TAR;

describe.each(everyRun)("what an image does not show is told, on $name", ({ address = "" }) => {
  /** The warnings of an export after these scripts. */
  async function warnings(scripts: readonly string[]): Promise<readonly string[]> {
    const findings: Finding[] = [];
    const onFinding = (finding: Finding) => findings.push(finding);
    await using build = await openBuild(address, busyboxEnvironment(tar as string), { onFinding });
    let at = build.start;
    for (const script of scripts) at = after(await build.run(at, script));
    await using _ = await build.session.image(at, imageSpec()).open({ signal: never });
    return findings.map(({ message }) => message);
  }
  const there = address !== "" && tar !== undefined;

  test.skipIf(!there)("nothing, of a usual state", async () => {
    expect(await warnings(["echo > /made", "rm /made; echo > /more"])).toEqual([]);
  });

  test.skipIf(!there)("mode and owner of /", async () => {
    expect(await warnings(["chmod 750 /; chown 5:6 /"])).toEqual([expect.stringContaining("mode and owner")]);
    expect(await warnings(["chmod 750 /", "chmod 755 /"])).toEqual([]);
  });

  test.skipIf(!there)("files that no layer can hold, and no others", async () => {
    const scripts = ["mkdir /q; echo > /q/foo", "echo > /q/.wh.; mkdir /q/.wh.foo; echo > /q/.wh.foo/in"];
    expect(await warnings(scripts)).toEqual([expect.stringContaining("without /q/.wh., /q/.wh.foo: ")]);
  });

  test.skipIf(!there)("nothing, where a step took away what compares", async () => {
    expect(await warnings(["echo > /made", "rm -r /bin"])).toEqual([]);
  });
});
