import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { noSecrets } from "@melange2/core";
import { readTar } from "@melange2/oci";
import { beforeEach, describe, expect, it } from "vitest";
import { pruneState, stateUsage } from "../src/index.ts";
import { busyboxEnvironment } from "./busybox-environment.ts";
import { context, type LocalBuild, never, openBuild, scratch, stateOf, whyNot } from "./local-build.ts";

const missing = await whyNot();

beforeEach(({ skip }) => skip(missing !== undefined, missing));

async function listing(build: LocalBuild, at: Parameters<LocalBuild["tree"]>[0], path: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { header } of readTar(build.session.read(at, path, { signal: never }))) names.push(header.name);
  return names;
}

describe("reading a state", () => {
  it("gives a folder or a file under its own name, through links on the way", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const state = await build.after(
      base,
      `mkdir -p /data/in; echo 1 > /data/in/f; echo 2 > "/data/-odd 'name'"
       ln -s /data /absolute; ln -s ../../../../data/in /var/relative; ln -s absolute /chained; ln -s loop /loop; ln -s /etc/passwd /data/link`,
    );
    expect(await listing(build, state, "/data/in")).toEqual(["in", "in/f"]);
    expect(await listing(build, state, "/data/in/f")).toEqual(["f"]);
    expect(await listing(build, state, "/absolute/in")).toEqual(["in", "in/f"]);
    expect(await listing(build, state, "/chained/in/f")).toEqual(["f"]);
    expect(await listing(build, state, "/var/relative/f")).toEqual(["f"]);
    expect(await listing(build, state, "/data/../../data/./in/f")).toEqual(["f"]);
    expect(await listing(build, state, "/data/-odd 'name'")).toEqual(["-odd 'name'"]);
    expect(await listing(build, state, "/data/link")).toEqual(["link"]);
    expect((await listing(build, state, "/")).slice(0, 2)).toEqual([".", "./absolute"]);
  });

  it("says what is not there, and never looks at the host for it", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const state = await build.after(base, "ln -s /usr/share /out; ln -s loop /loop");
    for (const path of ["/nope", "/nope/deeper", "/out/doc", "/loop/x", "/etc/passwd/x"])
      await expect(listing(build, state, path)).rejects.toMatchObject({ code: "not-found" });
  });

  it("can be broken off", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    for await (const _ of build.session.read(base, "/", { signal: never })) break;
    expect(await listing(build, base, "/etc/passwd")).toEqual(["passwd"]);
  });
});

describe("the search for secrets", () => {
  const value = "s3cr3t/with+odd chars";
  const needles = { names: ["S"], get: () => value };

  it("finds every form, in files, names, links and attributes, also where a later layer hides it", async () => {
    await using build = await openBuild();
    const base = await build.session.load(
      busyboxEnvironment([
        { name: "tagged", type: "file", xattrs: new Map([["user.note", Buffer.from(`x${value}x`)]]) },
      ]),
      { signal: never },
    );
    const plain = "s3cr3t/with+odd chars";
    const encoded = Buffer.from(`user:${value}!`).toString("base64");
    const one = await build.after(
      base,
      `mkdir /d; printf '%s' '${plain}' > /d/plain; echo '${encoded}' > /d/base64; echo '${encodeURIComponent(value)}' > /d/url
       mkdir -p '/d/${plain}'; ln -s '${plain}' /d/link; mkfifo /d/fifo; head -c 5000000 /dev/zero > /d/big; printf '%s' '${plain}' >> /d/big
       printf '%s' '${plain.slice(0, -1)}' > /d/almost; printf 'deleted %s' '${plain}' > /d/gone`,
    );
    const two = await build.after(one, "rm /d/gone");
    expect(await build.session.search([two], needles, { signal: never })).toEqual(
      [
        "/d/base64",
        "/d/big",
        "/d/gone",
        "/d/link",
        "/d/plain",
        `/d/${plain.split("/")[0]}/${plain.split("/")[1]}`,
        "/d/url",
        "/tagged",
      ].sort(),
    );
    expect(await build.session.search([base], needles, { signal: never })).toEqual(["/tagged"]);
    expect(await build.session.search([two], noSecrets, { signal: never })).toEqual([]);
  });
});

describe("kept states", () => {
  it("outlive the session, until they are dropped", async () => {
    const stateDirectory = join(scratch(), "state");
    let ref = {} as Awaited<ReturnType<LocalBuild["session"]["keep"]>>;
    {
      await using build = await openBuild({ stateDirectory });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      const failed = await build.afterFailure(base, "head -c 1000000 /dev/urandom > /partial; exit 1");
      ref = JSON.parse(JSON.stringify(await build.session.keep(failed, { signal: never })));
    }
    expect(await pruneState(context(stateDirectory), { cacheBytes: 0, signal: never })).toMatchObject({ busy: false });
    await using build = await openBuild({ stateDirectory });
    const found = await build.session.find(ref, { signal: never });
    expect(found && (await listing(build, found, "/partial"))).toEqual(["partial"]);
    expect(await build.session.keptBytes([ref], { signal: never })).toBeGreaterThan(1_000_000);
    // What stands on a kept state can go on from it.
    expect((await build.run(found as never, ["test -s /partial"])).result.ok).toBe(true);

    await build.session.drop(ref, { signal: never });
    await build.session.drop(ref, { signal: never });
    expect(await build.session.find(ref, { signal: never })).toBeUndefined();
    expect(await build.session.keptBytes([ref], { signal: never })).toBe(0);
    for (const other of [{ engine: "buildkit", state: "../../x" }, { engine: "local" }])
      expect(await build.session.find(other, { signal: never })).toBeUndefined();
  });

  it("count what they alone hold", async () => {
    await using build = await openBuild();
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    const shared = await build.after(base, "head -c 3000000 /dev/urandom > /shared");
    const refs = [];
    for (const name of ["a", "b"]) {
      const state = await build.after(shared, `head -c 1000000 /dev/urandom > /${name}`);
      refs.push(await build.session.keep(state, { signal: never }));
    }
    const [a, b] = refs as [(typeof refs)[0], (typeof refs)[0]];
    const bytes = await build.session.keptBytes([a as never], { signal: never });
    expect(bytes).toBeGreaterThan(1_000_000);
    expect(bytes).toBeLessThan(2_000_000);
    // Both together also hold what they share.
    expect(await build.session.keptBytes([a as never, b as never], { signal: never })).toBeGreaterThan(5_000_000);
    await build.session.drop(b as never, { signal: never });
    expect(await build.session.keptBytes([a as never], { signal: never })).toBeGreaterThan(4_000_000);
  });

  it("of a foreign engine's snapshot are refused", async () => {
    await using build = await openBuild();
    await expect(build.session.keep({ id: "x" }, { signal: never })).rejects.toMatchObject({ code: "engine" });
  });
});

describe("pruning", () => {
  it("waits for no session, frees what nobody needs, and the next build works", async () => {
    const stateDirectory = join(scratch(), "state");
    {
      await using build = await openBuild({ stateDirectory });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      // Folders that their owner alone may write, as overlay's own work directory is.
      await build.after(base, "mkdir -p /closed/in; touch /closed/in/f; chmod 0 /closed/in /closed");
      expect(await pruneState(context(stateDirectory), { cacheBytes: 0, signal: never })).toEqual({ busy: true });
    }
    const before = await stateUsage(context(stateDirectory), { signal: never });
    expect(before.keptBytes).toBe(0);
    expect(before.cacheBytes).toBeGreaterThan(1_000_000);
    expect(await pruneState(context(stateDirectory), { cacheBytes: 1e12, signal: never })).toMatchObject({
      freedBytes: 0,
    });
    expect(await pruneState(context(stateDirectory), { cacheBytes: 0, signal: never })).toEqual({
      busy: false,
      freedBytes: before.cacheBytes,
    });
    expect(await stateUsage(context(stateDirectory), { signal: never })).toEqual({ keptBytes: 0, cacheBytes: 0 });
    const [own] = readdirSync(stateDirectory) as [string];
    for (const folder of ["layers", "cache", "blobs", "tmp"])
      expect(readdirSync(join(stateDirectory, own, folder)), folder).toEqual([]);

    await using build = await openBuild({ stateDirectory });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    expect((await build.run(base, ["true"])).result).toMatchObject({ ok: true, cached: false });
  });

  it("a session leaves nothing temporary", async () => {
    const stateDirectory = join(scratch(), "state");
    {
      await using build = await openBuild({ stateDirectory });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      stateOf((await build.run(base, ["exit 1"])).result);
    }
    const [own] = readdirSync(stateDirectory) as [string];
    expect(readdirSync(join(stateDirectory, own, "tmp"))).toEqual([]);
    expect(readdirSync(join(stateDirectory, own, "locks")).filter((name) => name.startsWith("session"))).toEqual([]);
    expect(existsSync(join(stateDirectory, own, "layers"))).toBe(true);
  });
});
