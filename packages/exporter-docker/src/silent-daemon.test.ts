import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { daemonAt } from "./daemon.ts";

const { signal } = new AbortController();
const silence = 200;

async function daemonThat(answers: RequestListener) {
  const server = createServer(answers);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const endpoint = { address: `tcp://127.0.0.1:${port}`, host: "127.0.0.1", port, clientArguments: [] };
  return {
    daemon: daemonAt(endpoint, silence),
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const silent: RequestListener = () => {};
const silentInTheBody: RequestListener = (_, response) => {
  response.writeHead(200, { "content-length": "100" }).write("{");
};
const said = { code: "export", message: expect.stringContaining("has said nothing for 0.2 s") };

test.each([
  ["before its answer", silent],
  ["in the middle of its answer", silentInTheBody],
])("a daemon that falls silent %s is given up at every request", async (_, answers) => {
  using server = await daemonThat(answers);
  const { daemon } = server;
  await expect(daemon.facts(signal)).rejects.toMatchObject(said);
  await expect(daemon.imageId("a:b", signal)).rejects.toMatchObject(said);
  await expect(daemon.tag("sha256:1", "a:b", signal)).rejects.toMatchObject(said);
  await expect(daemon.load(async (sink) => sink.close(), signal)).rejects.toMatchObject(said);
});

test("a daemon that stops to read an archive is given up, even if it answers other requests", async () => {
  using server = await daemonThat((request, response) => {
    if (!request.url?.includes("/load")) response.end("{}");
  });
  const endless = server.daemon.load(async (sink) => {
    for (;;) await sink.write(Buffer.alloc(1 << 20));
  }, signal);
  await expect(endless).rejects.toMatchObject(said);
});

test("a daemon that unpacks in silence and answers other requests is borne", async () => {
  let asked = 0;
  using server = await daemonThat((request, response) => {
    if (!request.url?.includes("/load")) {
      asked += 1;
      response.end("{}");
      return;
    }
    request.resume();
    request.on("end", () => {
      // Two requests belong to one question: the answer comes after the third question.
      const wait = setInterval(() => {
        if (asked < 6) return;
        clearInterval(wait);
        response.end('{"stream":"Loaded"}');
      }, 10);
    });
  });
  await expect(
    server.daemon.load(async (sink) => {
      await sink.write(Buffer.alloc(1000));
      await sink.close();
      return "loaded";
    }, signal),
  ).resolves.toBe("loaded");
  expect(asked).toBeGreaterThanOrEqual(6);
});
