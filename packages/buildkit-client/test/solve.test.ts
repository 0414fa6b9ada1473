import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { isRunning } from "@melange2-tooling/machine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type BuildkitClient,
  type BuildkitError,
  type ByteSink,
  connect,
  type StatusEvent,
  type TreeEntry,
} from "../src/index.ts";
import { buildkitd, createRoot, daemons, nonce } from "./daemons.ts";
import { copyOf, define, mkfile, run, source } from "./graph.ts";
import { until } from "./until.ts";

/** The error of what must fail. */
export async function failure(attempt: Promise<unknown>): Promise<BuildkitError> {
  return await attempt.then(
    () => expect.fail("it did not fail"),
    (error: BuildkitError) => error,
  );
}

function memorySink(): ByteSink & { bytes(): Buffer; readonly closed: boolean } {
  const chunks: Uint8Array[] = [];
  let closed = false;
  return {
    async write(chunk) {
      chunks.push(Uint8Array.from(chunk));
    },
    async close() {
      closed = true;
    },
    bytes: () => Buffer.concat(chunks),
    get closed() {
      return closed;
    },
  };
}

function log(events: readonly StatusEvent[]): string {
  return Buffer.concat(events.flatMap(({ logs }) => logs.map(({ data }) => data))).toString();
}

const config = JSON.stringify({
  architecture: "amd64",
  os: "linux",
  config: { Env: ["A=b"] },
  rootfs: { type: "layers", diff_ids: [] },
  history: [],
});

describe.each(daemons)("a solve on $name", (daemon) => {
  describe.skipIf(daemon.address === undefined)(daemon.skip, () => {
    let client: BuildkitClient;
    let root: ReturnType<typeof createRoot>;
    beforeAll(async () => {
      root = createRoot();
      client = await connect(daemon.address as string);
    });
    afterAll(async () => {
      await client.close();
      root.remove();
    });

    it("runs the graph, and tells all of it before it resolves", async () => {
      const word = nonce();
      const events: StatusEvent[] = [];
      const graph = run(root.node, `echo out ${word}; echo err ${word} >&2`);
      await client.solve(define(graph), { serve: root.serve, onStatus: (event) => events.push(event) });
      expect(log(events)).toContain(`out ${word}`);
      expect(events.flatMap(({ logs }) => logs).map(({ stream }) => stream)).toEqual(
        expect.arrayContaining(["stdout", "stderr"]),
      );
      const last = new Map(events.flatMap(({ vertices }) => vertices.map((vertex) => [vertex.digest, vertex])));
      expect([...last.values()].every(({ completed, error }) => completed !== undefined && error === "")).toBe(true);
    });

    it("names the vertex that failed, and what it exited with", async () => {
      const events: StatusEvent[] = [];
      const serve = root.serve;
      const definition = define(run(root.node, `exit 42 # ${nonce()}`));
      const error = await failure(client.solve(definition, { serve, onStatus: (event) => events.push(event) }));
      expect(error).toMatchObject({ code: "solve-failed", exitCode: 42 });
      const failed = events.flatMap(({ vertices }) => vertices).find((vertex) => vertex.error !== "");
      expect(error.vertex).toBe(failed?.digest);
    });

    it("does so where something was not found", async () => {
      const definition = define(copyOf(mkfile("/there", Buffer.from(nonce())), "/missing"));
      await using job = client.job();
      for (const { solve } of [job, client]) {
        expect(await failure(solve(definition))).toMatchObject({
          code: "solve-failed",
          message: expect.stringContaining("missing"),
          vertex: expect.stringMatching(/^sha256:/),
        });
      }
    });

    it("does so for a long script, which its daemon's answer repeats", async () => {
      // Docker's daemons send what does not fit, which ends the connection.
      const length = daemon === buildkitd ? 60_000 : 30_000;
      const script = `: ${"x".repeat(length)} ${nonce()}; exit 3`;
      await using job = client.job({ serve: root.serve });
      expect(await failure(job.solve(define(run(root.node, script))))).toMatchObject({
        code: "solve-failed",
        message: expect.stringContaining(script),
        exitCode: 3,
        vertex: expect.stringMatching(/^sha256:/),
      });
      await job.solve(define(root.node));
    });

    it("says what a long script lacks, and not what failed before", async () => {
      const length = daemon === buildkitd ? 60_000 : 20_000;
      await using job = client.job({ serve: { ...root.serve, secrets: () => undefined } });
      await failure(job.solve(define(run(root.node, `: ${"y".repeat(length)} ${nonce()}; exit 3`))));
      const error = await failure(job.solve(define(run(root.node, `: ${"x".repeat(length)} ${nonce()}`, ["s"]))));
      expect(error.message).toMatch(/secret s:? not found/);
      expect(error.exitCode).toBeUndefined();
    });

    it("asks for a secret once for each execution, and fails where there is none", async () => {
      const definition = define(run(root.node, `test "$(cat /dev/.s)" = hush; : ${nonce()}`, ["s"]));
      const asked: string[] = [];
      const secrets = (id: string) => {
        asked.push(id);
        return "hush";
      };
      // What an open job made, nobody who uses the same daemon can prune.
      await using job = client.job({ serve: { ...root.serve, secrets } });
      await job.solve(definition);
      await client.solve(definition, { serve: { ...root.serve, secrets } });
      expect(asked).toEqual(["s"]);
      const other = define(run(root.node, `: ${nonce()}`, ["s"]));
      const error = await failure(client.solve(other, { serve: { ...root.serve, secrets: () => undefined } }));
      expect(error.message).toMatch(/secret s:? not found/);
    });

    it("runs without a secret that it can do without, be secrets served or not", async () => {
      const definition = () => define(run(root.node, `test ! -e /dev/.s; : ${nonce()}`, ["s"], true));
      await client.solve(definition(), { serve: root.serve });
      await client.solve(definition(), { serve: { ...root.serve, secrets: () => undefined } });
    });

    it("serves nothing that this solve did not register", async () => {
      const elsewhere = define(copyOf(source("local://etc", { "local.unique": nonce() })));
      const error = await failure(client.solve(elsewhere, { serve: root.serve }));
      expect(error.message).toContain('no directory is served as "etc"');
    });

    it("has a frontend make the graph", async () => {
      const sink = memorySink();
      const [word, entry] = [nonce(), { mode: 0o644, uid: 0, gid: 0, mtime: 0n }];
      const bytes = Buffer.from(`FROM scratch\nCOPY ${word} /copied\n`);
      const file = (path: string, content: Buffer): TreeEntry => ({
        ...entry,
        path,
        type: "file",
        size: content.length,
        open: async function* () {
          yield content;
        },
      });
      const trees = {
        dockerfile: { entries: () => [file("Dockerfile", bytes)] },
        context: { entries: () => [file(word, Buffer.from(word)), file("other", bytes)] },
      };
      await client.build({ name: "dockerfile.v0" }, { serve: { trees }, exports: [{ type: "tar", sink }] });
      expect(execFileSync("tar", ["-xOf", "-"], { input: sink.bytes() }).toString()).toBe(word);
      const serve = { trees: { ...trees, dockerfile: { entries: () => [file("Dockerfile", Buffer.from("FROM"))] } } };
      const error = await failure(client.build({ name: "dockerfile.v0" }, { serve }));
      expect(error.message).toMatch(/FROM requires either one or three arguments/);
    });

    it("streams an archive to a sink, which is closed only when all of it is there", async () => {
      const sink = memorySink();
      const definition = define(mkfile("/name", Buffer.from("content")));
      await client.solve(definition, { exports: [{ type: "tar", sink }] });
      expect(sink.closed).toBe(true);
      const listing = execFileSync("tar", ["-xOf", "-", "name"], { input: sink.bytes() });
      expect(listing.toString()).toBe("content");
    });

    it("tells the failure of a sink as it was", async () => {
      const cause = new Error("the disk is full");
      const sink: ByteSink = { write: () => Promise.reject(cause), close: () => expect.fail("closed") };
      const error = await failure(
        client.solve(define(mkfile("/a", Buffer.from("a"))), { exports: [{ type: "tar", sink }] }),
      );
      expect(error).toMatchObject({ code: "session", cause });
    });

    it("tells a failure of this side once, and then of what comes after it", async () => {
      const broken = nonce();
      const entries = (): never => {
        throw new Error("the tree is gone");
      };
      const trees = { ...root.serve.trees, [broken]: { entries } };
      await using job = client.job({ serve: { trees } });
      expect(await failure(job.solve(define(source(`local://${broken}`))))).toMatchObject({
        code: "session",
        message: expect.stringContaining("the tree is gone"),
      });
      const reference = await job.solve(define(root.node));
      expect(await failure(job.readFile(reference, "/nothing"))).toMatchObject({ code: "not-found" });
      expect(await failure(job.solve(define(run(root.node, `exit 4 # ${nonce()}`))))).toMatchObject({ exitCode: 4 });
    });

    it("solves step by step in a job, reads results, and exports what it returns", async () => {
      const sink = memorySink();
      const image = daemon.current ? ({ type: "docker", sink } as const) : ({ type: "moby" } as const);
      await using job = client.job({ serve: root.serve, exports: [image] });
      const word = nonce();
      const first = await job.solve(define(run(root.node, `echo ${word} > /word; ln -s word /link; mkdir /d`)));
      const text = async (offset?: number, length?: number) =>
        Buffer.from(
          await job.readFile(first, "/word", {
            ...(offset === undefined ? {} : { offset }),
            ...(length === undefined ? {} : { length }),
          }),
        ).toString();
      expect(await text()).toBe(`${word}\n`);
      expect(await text(2)).toBe(`${word}\n`.slice(2));
      expect(await text(2, 3)).toBe(word.slice(2, 5));
      expect(await failure(text(0.5))).toMatchObject({ code: "request" });
      expect(await job.statFile(first, "/word")).toMatchObject({
        name: "word",
        type: "file",
        mode: 0o644,
        uid: 0,
        size: word.length + 1,
      });
      const listed = await job.readDir(first, "/");
      expect(listed).toEqual(
        expect.arrayContaining([expect.objectContaining({ name: "link", type: "symlink", target: "word" })]),
      );
      expect(listed.find(({ name }) => name === "d")?.type).toBe("directory");
      expect(await failure(job.readFile(first, "/nothing"))).toMatchObject({ code: "not-found" });
      for (const code of [3, 4]) {
        const error = await failure(job.solve(define(run(root.node, `exit ${code} # ${word}`))));
        expect(error).toMatchObject({
          code: "solve-failed",
          exitCode: code,
          vertex: expect.stringMatching(/^sha256:/),
        });
      }
      const { response } = await job.finish({ reference: first, metadata: { "containerimage.config": config } });
      expect(response["containerimage.digest"]).toMatch(/^sha256:/);
      if (!daemon.current) return;
      const manifest = JSON.parse(
        execFileSync("tar", ["-xOf", "-", "manifest.json"], { input: sink.bytes() }).toString(),
      );
      const written = JSON.parse(
        execFileSync("tar", ["-xOf", "-", manifest[0].Config], { input: sink.bytes() }).toString(),
      );
      expect(written.config.Env).toEqual(["A=b"]);
    });

    it("stops what runs when a call is aborted, and leaves the job open", async () => {
      await using job = client.job({ serve: root.serve });
      const word = `9${process.hrtime.bigint()}`;
      const stop = new AbortController();
      const running = failure(job.solve(define(run(root.node, `sleep ${word}`)), { signal: stop.signal }));
      await until(() => isRunning(word));
      stop.abort();
      expect(await running).toMatchObject({ code: "aborted" });
      await until(() => !isRunning(word));
      await job.solve(define(run(root.node, `: ${word}`)));
    });

    it.each(["solve", "job"] as const)("stops what runs when the whole %s is aborted", async (kind) => {
      const word = `8${process.hrtime.bigint()}`;
      const stop = new AbortController();
      const options = { serve: root.serve, signal: stop.signal };
      const definition = define(run(root.node, `sleep ${word}`));
      const job = kind === "job" ? client.job(options) : undefined;
      const running = failure(job?.solve(definition) ?? client.solve(definition, options));
      await until(() => isRunning(word));
      stop.abort();
      expect(await running).toMatchObject({ code: "aborted" });
      await until(() => !isRunning(word));
      await job?.close();
    });

    it("stops what runs when a job is closed", async () => {
      const word = `7${process.hrtime.bigint()}`;
      const job = client.job({ serve: root.serve });
      const running = failure(job.solve(define(run(root.node, `sleep ${word}`))));
      await until(() => isRunning(word));
      await job.close();
      expect((await running).message).toBe("the job is closed");
      await until(() => !isRunning(word));
      expect(await failure(job.solve(define(root.node)))).toMatchObject({ message: "the job is closed" });
    });

    it("stays open when its result is refused, and can be closed or finished", async () => {
      const definition = define(mkfile("/name", Buffer.from("content")));
      await using other = client.job();
      const foreign = await other.solve(definition);
      const sink = memorySink();
      await using job = client.job({ exports: [{ type: "tar", sink }] });
      const reference = await job.solve(definition);
      await failure(job.finish({ reference: foreign }));
      await job.finish({ reference });
      expect(sink.closed).toBe(true);
      const closed = client.job();
      await failure(closed.finish({ reference }));
      await closed.close();
      expect(await failure(closed.solve(definition))).toMatchObject({ message: "the job is closed" });
    });

    it("stops the export of a job that is closed", async () => {
      const writing = Promise.withResolvers<void>();
      const sink: ByteSink = {
        write: () => {
          writing.resolve();
          return new Promise(() => {});
        },
        close: () => expect.fail("closed"),
      };
      const job = client.job({ exports: [{ type: "tar", sink }] });
      const reference = await job.solve(define(mkfile("/name", Buffer.from("content"))));
      const finishing = failure(job.finish({ reference }));
      await writing.promise;
      await job.close();
      expect(await finishing).toMatchObject({ message: "the job is closed" });
    });

    it("finds and prunes records by what made them", async () => {
      const word = nonce();
      const made = async () => (await client.diskUsage()).filter(({ description }) => description.includes(word));
      await client.solve(define(run(root.node, `echo ${word} > /x`)), { serve: root.serve });
      expect(await made()).not.toEqual([]);
      // A daemon lets go of a solve's records a moment after it has answered, leaves out those in use, and then lists them with other ids.
      const pruned: string[] = [];
      await until(async () => {
        const filter = (await made()).map(({ id }) => `id==${id}`);
        if (filter.length === 0) return true;
        pruned.push(...(await client.prune({ filter, all: true })).map(({ description }) => description));
        return false;
      });
      expect(pruned).toEqual([expect.stringContaining(word)]);
    });

    it("refuses what a daemon would take for everything, or wait for without end", async () => {
      expect((await failure(client.prune({ filter: [], all: true }))).message).toContain(
        "the list of filters is empty",
      );
      for (const keep of [{ keepBytes: 1.5 }, { keepMilliseconds: Number.POSITIVE_INFINITY }, { keepBytes: -1 }]) {
        expect(await failure(client.prune({ filter: ["id==none"], ...keep }))).toMatchObject({
          code: "request",
          message: expect.stringContaining(Object.keys(keep).join()),
        });
      }
      expect((await failure(client.build({ name: "" }))).message).toContain("the frontend has no name");
    });

    it("tells of a pattern that is none", async () => {
      const graph = define(
        copyOf(source("local://root", { "local.includepattern": '["[abc"]', "local.unique": nonce() })),
      );
      expect((await failure(client.solve(graph, { serve: root.serve }))).message).toContain('"[abc" is no pattern');
    });

    it("keeps solves on one connection apart", async () => {
      const words = [nonce(), nonce(), nonce()];
      const logs = await Promise.all(
        words.map(async (word) => {
          const events: StatusEvent[] = [];
          const definition = define(run(root.node, `echo ${word}`));
          await client.solve(definition, { serve: root.serve, onStatus: (event) => events.push(event) });
          return log(events);
        }),
      );
      logs.forEach((text, index) => {
        expect(words.filter((word) => text.includes(word))).toEqual([words[index]]);
      });
    });

    it("gives credentials for the hosts it was told, and no others", async () => {
      const seen: (string | undefined)[] = [];
      const registry = createServer((request, response) => {
        seen.push(request.headers.authorization);
        response.writeHead(401, { "WWW-Authenticate": 'Basic realm="r"' }).end();
      });
      await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
      const host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
      const definition = define(copyOf(source(`docker-image://${host}/x:${Date.now()}`)));
      try {
        await failure(
          client.solve(definition, { serve: { credentials: { "ghcr.io": { username: "u", secret: "p" } } } }),
        );
        expect((await failure(client.solve(definition))).message).toMatch(/auth/);
        expect(seen.length).toBeGreaterThan(0);
        expect(seen.every((header) => header === undefined)).toBe(true);
        await failure(client.solve(definition, { serve: { credentials: { [host]: { username: "u", secret: "p" } } } }));
        expect(seen).toContain(`Basic ${Buffer.from("u:p").toString("base64")}`);
      } finally {
        registry.closeAllConnections();
        registry.close();
      }
    });

    it("says what it is", async () => {
      expect((await client.workers()).length).toBeGreaterThan(0);
      expect((await client.workers())[0]?.platforms[0]?.os).toBe("linux");
      const info = await client.info();
      if (daemon.name === "dockerd 20.10") expect(info).toBeUndefined();
      else expect(info?.package).toMatch(/buildkit|docker/);
    });

    it("refuses a definition that no daemon takes, and survives one that this one does not", async () => {
      const huge = define(mkfile("/a", new Uint8Array(17 << 20)));
      expect(await failure(client.solve(huge))).toMatchObject({
        code: "request",
        message: expect.stringContaining("16 MiB"),
      });
      const large = define(mkfile("/a", new Uint8Array(12 << 20)));
      await client.solve(large).catch(() => {});
      expect((await client.workers()).length).toBeGreaterThan(0);
    });
  });
});
