import { PassThrough, Readable } from "node:stream";
import { isRunning } from "@melange2-tooling/machine";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BuildkitClient, type ContainerProcess, connect, type Job, type Reference } from "../src/index.ts";
import { createRoot, daemons, nonce } from "./daemons.ts";
import { define, run } from "./graph.ts";
import { until } from "./until.ts";

describe.each(daemons)("a container on $name", (daemon) => {
  describe.skipIf(daemon.address === undefined)(daemon.skip, () => {
    let client: BuildkitClient;
    let place: ReturnType<typeof createRoot>;
    let job: Job;
    let root: Reference;
    beforeAll(async () => {
      place = createRoot();
      client = await connect(daemon.address as string);
      job = client.job({ serve: place.serve });
      root = await job.solve(define(run(place.node, "mkdir /made; echo there > /made/file")));
    });
    afterAll(async () => {
      await job.close();
      await client.close();
      place.remove();
    });

    async function call(script: string, process: Partial<ContainerProcess> = {}) {
      await using container = await job.container({ root, network: "none" });
      const output = { stdout: "", stderr: "" };
      const code = await container.run({
        args: ["/bin/sh", "-c", script],
        env: { PATH: "/bin" },
        onOutput: (stream, data) => {
          output[stream] += Buffer.from(data).toString();
        },
        ...process,
      });
      return { code, ...output };
    }

    it("runs a process on the result, with its environment, directory, user and streams", async () => {
      const word = nonce();
      const script = 'cat; cat file; echo "$WORD $PWD" >&2; exit 7';
      const env = { PATH: "/bin", WORD: word };
      expect(
        await call(script, { env, cwd: "/made", user: "7:8", stdin: Readable.from([Buffer.from("given\n")]) }),
      ).toEqual({
        code: 7,
        stdout: "given\nthere\n",
        stderr: `${word} /made\n`,
      });
    });

    it("changes nothing that stays", async () => {
      expect(await call("echo changed > /made/file; cat /made/file")).toMatchObject({ code: 0, stdout: "changed\n" });
      expect(await call("cat /made/file")).toMatchObject({ code: 0, stdout: "there\n" });
      expect(Buffer.from(await job.readFile(root, "/made/file")).toString()).toBe("there\n");
    });

    it("gives a process that it may read from, and all that it writes", async () => {
      const stdin = new PassThrough();
      const chunk = Buffer.alloc(300_000, "x");
      void (async () => {
        for (let count = 0; count < 10; count++) stdin.write(chunk);
        stdin.end();
      })();
      expect((await call("cat", { stdin })).stdout.length).toBe(3_000_000);
    });

    it("tells the exit code of a process that leaves input unread", async () => {
      const stdin = Readable.from([Buffer.alloc(100_000), Buffer.alloc(100_000)]);
      expect(await call("echo all; exit 5", { stdin })).toMatchObject({ code: 5, stdout: "all\n" });
    });

    it("ends the input of a process with a stream that is destroyed", async () => {
      const stdin = new PassThrough();
      const onOutput = () => void stdin.destroy();
      expect(await call("echo; cat; exit 6", { stdin, onOutput })).toMatchObject({ code: 6 });
      expect(await call("cat; exit 6", { stdin })).toMatchObject({ code: 6 });
    });

    it("does not wait for input that a process did not wait for", async ({ skip }) => {
      if (!daemon.current) skip("older daemons wait for the end of it");
      expect(await call("exit 4", { stdin: new PassThrough() })).toMatchObject({ code: 4 });
    });

    it("has a terminal where one is asked for", async () => {
      const size = { rows: 33, columns: 77 };
      const { code, stdout } = await call("test -t 0 && test -t 1 && test -t 2 && echo terminal; exit 3", {
        stdin: new PassThrough(),
        terminal: { size, onResize: () => () => {} },
      });
      expect({ code, stdout }).toEqual({ code: 3, stdout: "terminal\r\n" });
    });

    it("says why a process cannot be started", async () => {
      const reason = await call("", { args: ["/nowhere"] }).then(
        // Docker 20.10 takes it for a process that says so itself.
        ({ code, stderr }) => `${code} ${stderr}`,
        (error: Error) => error.message,
      );
      expect(reason).toMatch(/no such file/);
      expect(reason).not.toMatch(/^0/);
    });

    it("tells an exit code of 255, and that of a signal", async () => {
      expect(await call("exit 255")).toMatchObject({ code: 255 });
      expect(await call("/bin/sh -c 'kill -9 $$'; exit $?")).toMatchObject({ code: 137 });
    });

    it("is left when its signal says so, and ends with what runs in it", async () => {
      const word = nonce();
      const left = new AbortController();
      const onOutput = () => left.abort();
      await expect(call(`echo; sleep 600; : ${word}`, { signal: left.signal, onOutput })).rejects.toMatchObject({
        code: "aborted",
      });
      await until(() => !isRunning(word));
    });
  });
});
