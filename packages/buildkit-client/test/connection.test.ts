import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import type { HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Control } from "../src/gen/control_pb.ts";
import {
  type BuildkitClient,
  type BuildkitError,
  commandTransport,
  connect,
  parseAddress,
  type StatusEvent,
  type Transport,
  tcpTransport,
  unixTransport,
} from "../src/index.ts";
import { buildkitd, createRoot, nonce } from "./daemons.ts";
import { define, mkfile, run } from "./graph.ts";
import { until } from "./until.ts";

async function failure(attempt: Promise<unknown>): Promise<BuildkitError> {
  return await attempt.then(
    () => expect.fail("it did not fail"),
    (error: BuildkitError) => error,
  );
}

let directory = "";
const servers: Server[] = [];
const sockets = new Set<Socket>();
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "melange2-buildkit-"));
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true, force: true });
});

async function listen<S extends Server>(server: S, where: string | 0): Promise<S> {
  servers.push(server);
  server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => {})));
  await new Promise<void>((resolve) => {
    if (where === 0) server.listen(0, "127.0.0.1", resolve);
    else server.listen(where, resolve);
  });
  return server;
}

/** A socket that leads to another, and for each connection its sockets on both sides. */
async function relayTo(path: string): Promise<{ relay: string; pairs: readonly (readonly [Socket, Socket])[] }> {
  const pairs: [Socket, Socket][] = [];
  const relay = join(directory, `relay-${nonce()}.sock`);
  const both = (socket: Socket) => {
    const daemon = connectSocket(path).on("error", () => {});
    socket.pipe(daemon).pipe(socket);
    pairs.push([socket, daemon]);
  };
  await listen(createServer(both), relay);
  return { relay, pairs };
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

describe("an address that does not answer", () => {
  it("is named, with what was tried and what to check: no socket", async () => {
    const error = await failure(connect(`unix://${directory}/none.sock`));
    expect(error.code).toBe("unreachable");
    expect(error.message).toMatch(/No BuildKit daemon at unix:.*tried the socket .*none\.sock: .*ENOENT/);
    expect(error.hint).toContain("buildkitd runs");
  });

  it("accepts and stays silent", async () => {
    const server = await listen(createServer(), 0);
    const error = await failure(connect(`tcp://127.0.0.1:${portOf(server)}`, { timeoutMs: 200 }));
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("no answer within 0.2 s") });
  });

  it("hangs up", async () => {
    const server = await listen(
      createServer((socket) => socket.destroy()),
      0,
    );
    const error = await failure(connect(`tcp://127.0.0.1:${portOf(server)}`));
    expect(error.code).toBe("unreachable");
  });

  it("speaks something else", async () => {
    const server = await listen(
      createServer((socket) => void socket.end("SSH-2.0-OpenSSH\r\n")),
      0,
    );
    expect((await failure(connect(`tcp://127.0.0.1:${portOf(server)}`))).code).toBe("unreachable");
  });

  it("is a Docker daemon that does not upgrade", async () => {
    const path = join(directory, "old-docker.sock");
    await listen(
      createHttpServer((_request, response) => response.writeHead(404).end("page not found")),
      path,
    );
    const error = await failure(connect(`docker://${path}`));
    expect(error.message).toContain("it answered 404 instead of upgrading the connection");
  });

  it("is a command that is missing, or fails, or leaves", async () => {
    expect((await failure(connect(commandTransport(["melange2-no-such-program"])))).message).toMatch(
      /exited with code 127: .*not found/,
    );
    const failing = commandTransport(["/bin/sh", "-c", "echo no such container: x >&2; exit 3"], {
      label: "docker-container://x",
    });
    const error = await failure(connect(failing));
    expect(error.code).toBe("unreachable");
    expect(error.message).toMatch(
      /docker-container:\/\/x: tried the command .*exited with code 3: no such container: x$/,
    );
    expect((await failure(connect(commandTransport(["/bin/true"])))).code).toBe("unreachable");
  });

  it("is given up at once when the signal is aborted", async () => {
    const never: Transport = {
      address: "never://",
      attempt: "nothing",
      advice: "Wait.",
      dial: () => new Promise(() => {}),
    };
    const stop = new AbortController();
    const error = failure(connect(never, { signal: stop.signal }));
    stop.abort();
    expect((await error).code).toBe("aborted");
    expect((await failure(connect(never, { signal: stop.signal }))).code).toBe("aborted");
  });
});

describe.skipIf(buildkitd.address === undefined)(`on the way to a real daemon ${buildkitd.skip}`, () => {
  const socketPath = (buildkitd.address ?? "").replace("unix://", "");
  const definition = (root: ReturnType<typeof createRoot>, script: string) => define(run(root.node, script));
  let root: ReturnType<typeof createRoot>;
  beforeAll(() => {
    root = createRoot();
  });
  afterAll(() => root.remove());

  async function works(client: BuildkitClient): Promise<void> {
    const word = nonce();
    let log = "";
    const onStatus = (event: StatusEvent) => {
      for (const { data } of event.logs) log += Buffer.from(data).toString();
    };
    await client.solve(definition(root, `echo ${word}`), { serve: root.serve, onStatus });
    expect(log).toContain(word);
  }

  describe("TLS on both sides", () => {
    const pem = (name: string) => readFileSync(join(directory, name), "utf8");
    let port = 0;
    beforeAll(async () => {
      makeCertificates(directory);
      const options = {
        ca: pem("ca.pem"),
        cert: pem("server.pem"),
        key: pem("server.key"),
        requestCert: true,
        ALPNProtocols: ["h2"],
      };
      const relay = createTlsServer(options, (socket) => {
        socket.on("error", () => {});
        const daemon = connectSocket(socketPath).on("error", () => {});
        socket.pipe(daemon).pipe(socket);
      });
      relay.on("tlsClientError", () => {});
      port = portOf(await listen(relay, 0));
    });

    it("lets in who has a certificate", async () => {
      const tls = { ca: pem("ca.pem"), cert: pem("client.pem"), key: pem("client.key"), serverName: "buildkitd.test" };
      await using client = await connect(`tcp://127.0.0.1:${port}`, { tls });
      await works(client);
    });

    it("refuses who has none, and whose daemon has another authority", async () => {
      const without = connect(
        tcpTransport({ host: "127.0.0.1", port, tls: { ca: pem("ca.pem"), serverName: "buildkitd.test" } }),
      );
      expect(await failure(without)).toMatchObject({ code: "unreachable" });
      const tls = {
        ca: pem("other.pem"),
        cert: pem("client.pem"),
        key: pem("client.key"),
        serverName: "buildkitd.test",
      };
      const error = await failure(connect(`tcp://127.0.0.1:${port}`, { tls }));
      expect(error).toMatchObject({ code: "unreachable", hint: expect.stringContaining("certificate authority") });
      expect(error.message).toMatch(/certificate|self.signed|issuer/i);
    });
  });

  const overTcp = process.env.MELANGE2_TEST_BUILDKIT_TCP;
  it.skipIf(overTcp === undefined)("TLS of the daemon's own (MELANGE2_TEST_BUILDKIT_TCP)", async () => {
    const pem = (variable: string | undefined) => readFileSync(variable as string, "utf8");
    const ca = pem(process.env.MELANGE2_TEST_BUILDKIT_TLS_CA);
    const cert = pem(process.env.MELANGE2_TEST_BUILDKIT_TLS_CERT);
    const key = pem(process.env.MELANGE2_TEST_BUILDKIT_TLS_KEY);
    await using client = await connect(overTcp as string, { tls: { ca, cert, key } });
    await works(client);
    expect(await failure(connect(overTcp as string, { tls: { ca } }))).toMatchObject({ code: "unreachable" });
    expect(await failure(connect(overTcp as string))).toMatchObject({ code: "unreachable" });
  });

  describe("a child process", () => {
    let path = "";
    beforeAll(() => {
      // Stands in for docker and kubectl: checks its arguments, then joins its standard streams to the daemon.
      path = join(directory, "bin");
      execFileSync("mkdir", ["-p", path]);
      const relay = `const s = require("node:net").connect(${JSON.stringify(socketPath)}); process.stdin.pipe(s).pipe(process.stdout); s.on("close", () => process.exit());`;
      const expected = {
        docker: "exec -i builder buildctl dial-stdio",
        kubectl: "--context=c --namespace=n exec -i --container=b pod-0 -- buildctl dial-stdio",
      };
      for (const [name, args] of Object.entries(expected)) {
        const script = `#!/bin/sh\n[ "$*" = "${args}" ] || { echo "unexpected: $*" >&2; exit 9; }\nexec '${process.execPath}' -e '${relay}'\n`;
        writeFileSync(join(path, name), script);
        chmodSync(join(path, name), 0o755);
      }
    });

    it.each(["docker-container://builder", "kube-pod://pod-0?context=c&namespace=n&container=b"])(
      "%s",
      async (address) => {
        const before = process.env.PATH;
        process.env.PATH = `${path}:${before}`;
        try {
          await using client = await connect(address);
          await works(client);
        } finally {
          process.env.PATH = before;
        }
      },
    );

    it("ends with the connection", async () => {
      const mark = `melange2-${nonce()}`;
      const relay = `require("node:net"); const s = require("node:net").connect(${JSON.stringify(socketPath)}); process.stdin.pipe(s).pipe(process.stdout); /* ${mark} */`;
      const client = await connect(commandTransport([process.execPath, "-e", relay]));
      await works(client);
      const running = () =>
        execFileSync("ps", ["-eo", "stat,args"])
          .toString()
          .split("\n")
          .filter((line) => line.includes(mark) && !line.startsWith("Z"));
      expect(running()).toHaveLength(1);
      await client.close();
      while (running().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    });
  });

  describe("a connection that breaks", () => {
    async function relayed() {
      const { relay, pairs } = await relayTo(socketPath);
      return { client: await connect(unixTransport(relay)), pairs };
    }
    const sleeping = (client: BuildkitClient, onStart: () => void) =>
      failure(
        client.solve(definition(root, `echo started; sleep 600 # ${nonce()}`), {
          serve: root.serve,
          onStatus: ({ logs }) => {
            if (logs.length > 0) onStart();
          },
        }),
      );

    it("by being cut fails what goes on, and what comes after", async () => {
      const { client, pairs } = await relayed();
      const error = await sleeping(client, () => {
        for (const [socket, daemon] of pairs) {
          socket.destroy();
          daemon.destroy();
        }
      });
      expect(error).toMatchObject({ code: "connection-lost", message: expect.stringContaining(client.address) });
      expect(await failure(client.workers())).toMatchObject({ code: "connection-lost" });
      await client.close();
    });

    it("stays through a silence of nine seconds", async () => {
      const { client, pairs } = await relayed();
      let lines = 0;
      const onStatus = ({ logs }: StatusEvent) => {
        if (lines === 0 && logs.length > 0)
          for (const [socket, daemon] of pairs) {
            socket.unpipe().pause();
            daemon.unpipe().pause();
            setTimeout(() => socket.pipe(daemon).pipe(socket), 9_000);
          }
        lines += logs.length;
      };
      await client.solve(definition(root, `echo started; sleep 10; echo over # ${nonce()}`), {
        serve: root.serve,
        onStatus,
      });
      expect(lines).toBeGreaterThanOrEqual(2);
      await client.close();
    });

    it("by falling silent fails within twelve seconds", async () => {
      const { client, pairs } = await relayed();
      let silent = 0;
      const error = await sleeping(client, () => {
        silent ||= Date.now();
        for (const [socket, daemon] of pairs) {
          socket.unpipe().pause();
          daemon.unpipe().pause();
        }
      });
      expect(error).toMatchObject({ code: "connection-lost", message: expect.stringContaining("no longer answers") });
      expect(Date.now() - silent).toBeLessThan(12_500);
      await client.close();
    });

    it("stays while the daemon says anything, though what it is asked does not get there", async () => {
      const { client, pairs } = await relayed();
      let lines = 0;
      let held = false;
      const onStatus = ({ logs }: StatusEvent) => {
        lines += logs.length;
        // For longer than silence would be borne.
        const hold = lines > 0 && lines < 14;
        if (hold !== held) for (const [socket, daemon] of pairs) hold ? socket.unpipe() : socket.pipe(daemon);
        held = hold;
      };
      const script = `for line in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo $line; sleep 1; done; : ${nonce()}`;
      await client.solve(definition(root, script), { serve: root.serve, onStatus });
      await client.close();
    });

    it("by closing it fails what goes on", async () => {
      const client = await connect(buildkitd.address as string);
      const error = await sleeping(client, () => void client.close());
      expect(error).toMatchObject({ code: "connection-lost", message: expect.stringContaining("is closed") });
    });
  });

  it("leaves nothing that keeps the process alive", () => {
    const script = `
      import { connect } from "@melange2/buildkit-client";
      const client = await connect(process.argv[1]);
      await using job = client.job();
      await client.diskUsage();
      await job.close();
      await client.close();
      console.log("closed");
    `;
    const args = ["--conditions=melange2-source", "--input-type=module", "-e", script, buildkitd.address as string];
    const output = execFileSync(process.execPath, args, {
      cwd: import.meta.dirname,
      timeout: 20_000,
      encoding: "utf8",
    });
    expect(output).toBe("closed\n");
  });
});

describe("a daemon", () => {
  /** Says that it is there, and never ends what it is asked to do. */
  async function patientDaemon(path: string): Promise<readonly ServerHttp2Session[]> {
    const forEver = (_request: unknown, { signal }: HandlerContext) =>
      new Promise<never>((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const streamForEver = async function* (request: unknown, context: HandlerContext) {
      yield await forEver(request, context);
    };
    const routes = connectNodeAdapter({
      routes: ({ service }) => {
        const control = { solve: forEver, status: streamForEver, session: streamForEver };
        service(Control, { listWorkers: () => ({}), ...control });
      },
    });
    const largeWindow = 32 << 20;
    const server = createHttp2Server({ settings: { initialWindowSize: largeWindow } }, routes);
    const sessions: ServerHttp2Session[] = [];
    server.on("session", (session) => {
      session.setLocalWindowSize(largeWindow);
      sessions.push(session);
    });
    await listen(server, path);
    return sessions;
  }

  it("that shuts down takes nothing new, and a job can be closed", async () => {
    const path = join(directory, "leaving.sock");
    const sessions = await patientDaemon(path);
    const client = await connect(unixTransport(path));
    const job = client.job();
    for (const session of sessions) session.close();
    await until(() =>
      client.workers().then(
        () => false,
        () => true,
      ),
    );
    expect(await failure(client.workers())).toMatchObject({
      code: "connection-lost",
      message: expect.stringContaining("it is shutting down"),
    });
    await job.close();
    await client.close();
  });

  it("that reads no more does not keep its client from being closed", async () => {
    const path = join(directory, "full.sock");
    await patientDaemon(path);
    const { relay, pairs } = await relayTo(path);
    const direct = unixTransport(relay);
    let socket: Socket | undefined;
    const client = await connect({
      ...direct,
      async dial(signal) {
        const link = await direct.dial(signal);
        socket = link.socket;
        return link;
      },
    });
    for (const [incoming] of pairs) incoming.unpipe().pause();
    const solving = failure(client.solve(define(mkfile("/a", new Uint8Array(8 << 20)))));
    await until(() => (socket?.bytesWritten ?? 0) > 4 << 20);
    await client.close();
    expect(await solving).toMatchObject({ code: "connection-lost" });
  });
});

describe("an address", () => {
  it.each([
    ["unix:///a/b.sock", "unix:///a/b.sock"],
    ["tcp://host:1234", "tcp://host:1234"],
    ["tcp://[::1]:1234", "tcp://[::1]:1234"],
    ["docker://", "docker:///var/run/docker.sock"],
    ["docker:///x.sock", "docker:///x.sock"],
    ["docker-container://a_b.c-d", "docker-container://a_b.c-d"],
  ])("%s is understood", (text, address) => expect(parseAddress(text).address).toBe(address));

  it.each([
    ["/run/buildkit.sock", "it has no scheme"],
    ["unix://relative", "not absolute"],
    ["tcp://host", "host and a port"],
    ["tcp://host:70000", "host and a port"],
    ["docker://host:2375", "not absolute"],
    ["docker-container://--privileged", "does not name a container"],
    ["docker-container://a b", "does not name a container"],
    ["kube-pod://p?user=me", 'does not take "user"'],
    ["unix:///a?b=c", "takes no parameters"],
    ["ssh://host", "ssh:// is not known"],
  ])("%s is refused", (text, why) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({ code: "address", message: expect.stringContaining(why) }),
    );
  });

  it("of a command names one", () => {
    expect(() => commandTransport([])).toThrow(expect.objectContaining({ code: "address" }));
  });

  it("takes TLS only where there is a network", () => {
    expect(() => parseAddress("unix:///a", { tls: {} })).toThrow("TLS is for tcp:// addresses");
  });
});

/** Two authorities; a daemon and a client with certificates of the first. */
function makeCertificates(where: string): void {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: where, stdio: "ignore" });
  for (const name of ["ca", "other"]) {
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "1",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
    );
  }
  for (const name of ["server", "client"]) {
    openssl(
      "req",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
    );
    writeFileSync(join(where, `${name}.ext`), "subjectAltName=DNS:buildkitd.test\n");
    openssl(
      "x509",
      "-req",
      "-days",
      "1",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.pem`,
    );
  }
}
