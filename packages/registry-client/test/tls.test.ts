import { createServer as createHttp } from "node:http";
import { createServer } from "node:https";
import { createServer as createTcp } from "node:net";
import { program, root } from "@melange2-tooling/services";
import { beforeEach, describe, expect, test } from "vitest";
import { openRepository } from "../src/index.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { blobOf, noise, repositoryName, scene, user } from "./scene.ts";

let certificates: Certificates;

beforeEach(async (test) => {
  program(test, "openssl");
  certificates ??= await makeCertificates();
});

const server = () => ({ tls: certificates.server });

describe("a registry with a certificate of an unknown authority", () => {
  test("is refused before anything is sent", async () => {
    await using stage = await scene({ ...server(), access: { scheme: "basic", ...user } });
    await expect(stage.repository.tryUpload()).rejects.toMatchObject({
      code: "tls",
      hint: expect.stringContaining("certificate authority"),
    });
    expect(stage.registry.requests).toEqual([]);
    expect(stage.clock.slept).toEqual([]);
  });

  test("is trusted with that authority", async () => {
    await using stage = await scene({
      ...server(),
      access: { scheme: "bearer", ...user },
      session: { tls: { ca: certificates.ca } },
    });
    await expect(stage.repository.uploadBlob(blobOf(noise(100_000, 1)))).resolves.toBe("uploaded");
  });

  test("is put up with when insecure", async () => {
    await using stage = await scene({ ...server(), session: { tls: { insecure: true } } });
    await expect(stage.repository.uploadBlob(blobOf(noise(1000, 1)))).resolves.toBe("uploaded");
  });
});

test("a certificate for another host is refused, also with its authority", async () => {
  await using stage = await scene({ tls: certificates.stranger, session: { tls: { ca: certificates.ca } } });
  await expect(stage.repository.ping()).rejects.toMatchObject({
    code: "tls",
    message: expect.stringContaining("another host"),
  });
});

test("insecure is for the registry alone, not for hosts that it leads to", async () => {
  await using stage = await scene({ ...server(), session: { tls: { insecure: true } } });
  const other = createServer(certificates.server, (_, response) => response.end());
  // The same machine under another name is another host.
  await new Promise<void>((resolve) => other.listen(0, "localhost", resolve));
  const { port } = other.address() as { port: number };
  const { descriptor } = blobOf(noise(10, 1));
  stage.registry.misbehave({
    method: "GET",
    path: "/blobs/",
    answer: { status: 307, headers: { location: `https://localhost:${port}/` } },
  });
  const reading = (async () => {
    for await (const _ of stage.repository.readBlob(descriptor));
  })();
  await expect(reading).rejects.toMatchObject({ code: "tls" });
  other.close();
});

test.for([
  ["a redirect", "GET", "/blobs/"],
  ["an upload", "POST", "/blobs/uploads/"],
] as const)("%s never leads out of TLS", async ([, method, path]) => {
  await using stage = await scene({ ...server(), session: { tls: { ca: certificates.ca } } });
  let reached = 0;
  const plain = createHttp((_, response) => {
    reached += 1;
    response.end();
  });
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const { port } = plain.address() as { port: number };
  const location = `http://127.0.0.1:${port}/`;
  stage.registry.misbehave({ method, path, answer: { status: method === "GET" ? 307 : 202, headers: { location } } });
  const blob = blobOf(noise(10, 1));
  const working =
    method === "POST"
      ? stage.repository.uploadBlob(blob)
      : (async () => {
          for await (const _ of stage.repository.readBlob(blob.descriptor));
        })();
  await expect(working).rejects.toMatchObject({ code: "protocol" });
  expect(reached).toBe(0);
  plain.close();
});

test("a registry that wants TLS otherwise than we speak it is not spoken to in plain http", async () => {
  await using stage = await scene({ session: { tls: { insecure: true }, attempts: 1 } });
  // The alert "handshake failure", which a server sends that shares no cipher or version with its client.
  const old = createTcp((socket) => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 40])));
  await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
  const { port } = old.address() as { port: number };
  using repository = openRepository({ registry: `127.0.0.1:${port}`, repository: repositoryName }, stage.session);
  await expect(repository.ping()).rejects.toMatchObject({ code: "tls", message: expect.stringContaining("refuses") });
  old.close();
});

describe("plain http", () => {
  test("is spoken on this machine where there is no TLS", async () => {
    await using stage = await scene();
    await expect(stage.repository.ping()).resolves.toBeUndefined();
  });

  test("is spoken on its own port where nobody listens on that of TLS", async (test) => {
    root(test);
    const asked: (string | undefined)[] = [];
    const server = createHttp((request, response) => {
      asked.push(request.url);
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(80, "127.80.80.80", resolve));
    await using stage = await scene({ session: { tls: { insecure: true }, attempts: 1 } });
    using repository = openRepository({ registry: "127.80.80.80", repository: repositoryName }, stage.session);
    await expect(repository.ping()).resolves.toBeUndefined();
    expect(asked.at(-1)).toBe("/v2/");
    server.close();
  });

  test("is never spoken to another host unasked", async () => {
    await using stage = await scene();
    // A name that leads to this machine but is not its own.
    const port = stage.registry.host.split(":")[1];
    const host = `127.0.0.1.:${port}`;
    using repository = openRepository(
      { registry: host, repository: repositoryName },
      { ...stage.session, attempts: 1 },
    );
    await expect(repository.ping()).rejects.toMatchObject({ code: expect.stringMatching(/^(tls|unavailable)$/) });
    expect(stage.registry.requests).toEqual([]);
  });

  test("is spoken when asked for, without trying TLS", async () => {
    await using stage = await scene({ ...server(), session: { tls: { plain: true }, attempts: 1 } });
    await expect(stage.repository.ping()).rejects.toMatchObject({
      code: expect.stringMatching(/^(protocol|unavailable)$/),
    });
  });
});
