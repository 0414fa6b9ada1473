import { existsSync, mkdirSync, readdirSync } from "node:fs";
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
    expect((await build.session.search([two], needles, { signal: never })).paths).toEqual(
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
    expect((await build.session.search([base], needles, { signal: never })).paths).toEqual(["/tagged"]);
    expect((await build.session.search([two], noSecrets, { signal: never })).paths).toEqual([]);
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

  const megabytes = (name: string) => `head -c 3000000 /dev/urandom > /${name}`;

  it("is done for dropped states when the session ends: what no later build can find goes", async () => {
    const stateDirectory = join(scratch(), "state");
    let ref = {} as Awaited<ReturnType<LocalBuild["session"]["keep"]>>;
    {
      await using build = await openBuild({ stateDirectory });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      const good = await build.after(base, megabytes("good"));
      ref = await build.session.keep(await build.afterFailure(good, `${megabytes("partial")}; exit 1`), {
        signal: never,
      });
    }
    const kept = await stateUsage(context(stateDirectory), { signal: never });
    {
      await using build = await openBuild({ stateDirectory });
      await build.session.drop(ref, { signal: never });
    }
    const after = await stateUsage(context(stateDirectory), { signal: never });
    expect(after.keptBytes).toBe(0);
    expect(kept.keptBytes - after.cacheBytes).toBeGreaterThan(3_000_000);
    await using build = await openBuild({ stateDirectory });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    expect((await build.run(base, [megabytes("good")])).result).toMatchObject({ ok: true, cached: true });
  });

  it("is done for runs that were to be kept apart", async () => {
    const stateDirectory = join(scratch(), "state");
    {
      await using build = await openBuild({ stateDirectory });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      await build.run(base, [megabytes("apart")], { fresh: "once" });
    }
    const [own] = readdirSync(stateDirectory) as [string];
    expect(readdirSync(join(stateDirectory, own, "layers"))).toEqual([expect.stringMatching(/^base-/)]);
  });

  it("is done when a session ends with a cache beyond its budget, the longest unused first", async () => {
    const stateDirectory = join(scratch(), "state");
    const session = async (cacheBytes: number, ...names: readonly string[]) => {
      await using build = await openBuild({ stateDirectory, cacheBytes });
      const base = await build.session.load(busyboxEnvironment(), { signal: never });
      const results = [];
      for (const name of names) results.push((await build.run(base, [megabytes(name)])).result);
      return results.map((result) => result.ok && result.cached);
    };
    const usage = async () => (await stateUsage(context(stateDirectory), { signal: never })).cacheBytes;
    await session(1e9, "a", "b", "c");
    const full = await usage();
    expect(await session(full, "a", "b", "c")).toEqual([true, true, true]);
    expect(await usage()).toBe(full);
    // One more than fits: the room of a layer has to be below four fifths of the budget.
    await session(full, "a", "d");
    expect(await usage()).toBeLessThan(0.8 * full);
    expect(await session(1e9, "d", "a", "b")).toEqual([true, true, false]);
  });

  it("waits for whoever else is open, whose end does it", async () => {
    const stateDirectory = join(scratch(), "state");
    const layers = () => readdirSync(join(stateDirectory, readdirSync(stateDirectory)[0] as string, "layers")).length;
    {
      await using other = await openBuild({ stateDirectory });
      const base = await other.session.load(busyboxEnvironment(), { signal: never });
      {
        await using build = await openBuild({ stateDirectory });
        const from = await build.session.load(busyboxEnvironment(), { signal: never });
        const ref = await build.session.keep(await build.afterFailure(from, "exit 1"), { signal: never });
        await build.session.drop(ref, { signal: never });
      }
      expect(layers()).toBe(2);
      expect((await other.run(base, ["true"])).result.ok).toBe(true);
    }
    expect(layers()).toBe(2);
    await using build = await openBuild({ stateDirectory });
    const base = await build.session.load(busyboxEnvironment(), { signal: never });
    expect((await build.run(base, ["true"])).result).toMatchObject({ ok: true, cached: true });
  });

  it("that cannot be done is a warning, and the session ends all the same", async () => {
    const stateDirectory = join(scratch(), "state");
    const messages: string[] = [];
    {
      await using build = await openBuild({ stateDirectory, onFinding: ({ message }) => messages.push(message) });
      await build.session.load(busyboxEnvironment(), { signal: never });
      mkdirSync(join(stateDirectory, readdirSync(stateDirectory)[0] as string, "growth"));
    }
    expect(messages).toEqual([expect.stringContaining("could not be removed: EISDIR")]);
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
