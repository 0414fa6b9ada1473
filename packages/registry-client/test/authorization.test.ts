import { createServer } from "node:http";
import type { SeenRequest } from "@melange2/testkit";
import { describe, expect, test } from "vitest";
import { isRegistryError, openRepository, pushImage, type SessionOptions } from "../src/index.ts";
import { blobOf, imageOf, noise, noiseLayer, password, repositoryName, type Scene, scene, user } from "./scene.ts";

const bearer = { scheme: "bearer", ...user, identityToken: "identity-of-tester" } as const;
const tokenRequests = (requests: readonly SeenRequest[]) => requests.filter(({ url }) => url.startsWith("/token"));

describe("bearer authentication", () => {
  test("fetches one token for each set of rights, and uses it until it expires", async () => {
    await using stage = await scene({ access: bearer });
    await pushImage(stage.repository, imageOf([noiseLayer(1000, 1), noiseLayer(1000, 2)]), {
      tag: "1",
      signal: stage.abort.signal,
    });
    await stage.repository.getManifest("1");
    expect(tokenRequests(stage.registry.requests)).toHaveLength(2);
    stage.clock.advance(400_000);
    await stage.repository.getManifest("1");
    expect(tokenRequests(stage.registry.requests)).toHaveLength(3);
  });

  test("asks for this repository and these actions only", async () => {
    await using stage = await scene({ access: bearer });
    await stage.repository.uploadBlob(blobOf(noise(10, 1)), { mountFrom: ["team/base"] });
    const scopes = tokenRequests(stage.registry.requests).map(({ url }) =>
      new URLSearchParams(url.split("?")[1]).getAll("scope"),
    );
    expect(scopes).toEqual([
      [`repository:${repositoryName}:pull,push`],
      [`repository:${repositoryName}:pull,push`, "repository:team/base:pull"],
    ]);
  });

  test("renews a token that the registry no longer takes, also in the middle of a blob", async () => {
    await using stage = await scene({ access: bearer });
    const blob = blobOf(noise(100_000, 2));
    let expired = false;
    const outcome = await stage.repository.uploadBlob(blob, {
      mode: "chunks",
      chunkSize: 20_000,
      onProgress: (sent) => {
        if (sent < 40_000 || expired) return;
        expired = true;
        stage.registry.expireTokens();
      },
    });
    expect(outcome).toBe("uploaded");
    expect(tokenRequests(stage.registry.requests)).toHaveLength(2);
  });

  test("gives an identity token, not a password, where that is what there is", async () => {
    await using stage = await scene({
      access: bearer,
      session: { credentials: async () => ({ identityToken: "identity-of-tester" }) },
    });
    await stage.repository.tryUpload();
    const [asked] = tokenRequests(stage.registry.requests);
    expect(asked).toMatchObject({ method: "POST", url: "/token" });
    expect(asked?.headers.authorization).toBeUndefined();
  });

  test("keeps a new refresh token for the next time", async () => {
    await using stage = await scene({
      access: bearer,
      session: { credentials: async () => ({ identityToken: "identity-of-tester" }) },
    });
    stage.registry.misbehave({
      path: "/token",
      change: (reply) => ({
        ...reply,
        body: Buffer.from(JSON.stringify({ ...JSON.parse(String(reply.body)), refresh_token: "renewed" })),
      }),
    });
    await stage.repository.tryUpload();
    stage.registry.expireTokens();
    // The service knows only the first one: that the second is refused shows that it was sent.
    await expect(stage.repository.tryUpload()).rejects.toMatchObject({ code: "unauthorized" });
  });

  test("pulls without credentials where anybody may", async () => {
    await using stage = await scene({
      access: { ...bearer, anonymousPull: true },
      session: { credentials: async () => undefined },
    });
    await expect(stage.repository.headManifest("1")).resolves.toBeUndefined();
    const error = await stage.repository.tryUpload().catch((caught: unknown) => caught);
    expect(isRegistryError(error) && error.code).toBe("unauthorized");
  });

  const badRealms: readonly [string, string][] = [
    ["sends the password in the clear", 'Bearer realm="http://tokens.example/token",service="x"'],
    ["does not say where", 'Bearer service="x"'],
    ["names no address", 'Bearer realm="over there"'],
    ["names a file", 'Bearer realm="file:///etc/passwd"'],
  ];
  test.for(badRealms)("refuses a realm that %s", async ([, challenge]) => {
    await using stage = await scene({ access: bearer });
    stage.registry.misbehave({
      path: "/v2/",
      times: 100,
      answer: { status: 401, headers: { "www-authenticate": challenge } },
    });
    await expect(stage.repository.tryUpload()).rejects.toMatchObject({ code: "protocol" });
  });

  /** A registry under a name that leads to this machine but is not its own, allowed to be without TLS. */
  const insecurely = ({ registry, session }: Scene) =>
    openRepository(
      { registry: registry.host.replace(":", ".:"), repository: repositoryName },
      { ...session, tls: { insecure: true } },
    );

  test("takes a realm without encryption on the host of a registry that has none itself", async () => {
    await using stage = await scene({ access: bearer });
    using repository = insecurely(stage);
    await expect(repository.uploadBlob(blobOf(noise(10, 1)))).resolves.toBe("uploaded");
    expect(tokenRequests(stage.registry.requests)).toHaveLength(1);
  });

  test("takes no such realm elsewhere", async () => {
    await using stage = await scene({ access: bearer });
    await using other = await scene({ access: bearer });
    using repository = insecurely(stage);
    stage.registry.misbehave({
      path: "/v2/",
      times: 100,
      answer: {
        status: 401,
        headers: {
          "www-authenticate": `Bearer realm="${other.registry.origin.replace("127.0.0.1", "localhost")}/token"`,
        },
      },
    });
    await expect(repository.tryUpload()).rejects.toMatchObject({ code: "protocol" });
    expect(other.registry.requests).toEqual([]);
  });

  const answers: readonly [string, Parameters<typeof JSON.stringify>[0], string][] = [
    ["no token", {}, "protocol"],
    ["a token that is a number", { token: 7 }, "protocol"],
    ["a token that would break the header", { token: "a\r\nb" }, "protocol"],
    ["no object", null, "protocol"],
  ];
  test.for(answers)("refuses a token service that gives %s", async ([, answer, code]) => {
    await using stage = await scene({ access: bearer });
    stage.registry.misbehave({
      path: "/token",
      times: 10,
      answer: { status: 200, body: Buffer.from(JSON.stringify(answer)) },
    });
    await expect(stage.repository.tryUpload()).rejects.toMatchObject({ code });
  });

  test("tries again when the token service is busy", async () => {
    await using stage = await scene({ access: bearer });
    stage.registry.misbehave({ path: "/token", answer: { status: 429, headers: { "retry-after": "3" } } });
    await stage.repository.tryUpload();
    expect(stage.clock.slept).toContain(3000);
  });

  test("does not follow the token service elsewhere", async () => {
    await using stage = await scene({ access: bearer });
    await using other = await scene();
    stage.registry.misbehave({
      path: "/token",
      times: 10,
      answer: { status: 307, headers: { location: `${other.registry.origin}/token` } },
    });
    await expect(stage.repository.tryUpload()).rejects.toMatchObject({ code: "protocol" });
    expect(other.registry.requests).toEqual([]);
  });

  test("takes tokens and passwords out of what the registry says", async () => {
    await using stage = await scene({ access: bearer });
    await stage.repository.tryUpload();
    const token =
      stage.registry.requests
        .map(({ headers }) => headers.authorization ?? "")
        .find((header) => header.startsWith("Bearer "))
        ?.slice(7) ?? "-";
    stage.registry.misbehave({
      method: "POST",
      answer: {
        status: 400,
        body: Buffer.from(JSON.stringify({ errors: [{ code: "X", message: `${token} and ${password}` }] })),
      },
    });
    const error = await stage.repository.tryUpload().catch((caught: unknown) => caught as Error);
    expect(String(error)).toContain("*** and ***");
  });
});

describe("credentials", () => {
  test("are asked for once, only when the registry wants some, and for it alone", async () => {
    const asked: string[] = [];
    const credentials: SessionOptions["credentials"] = async (registry) => {
      asked.push(registry);
      return user;
    };
    await using open = await scene({ session: { credentials } });
    await open.repository.tryUpload();
    expect(asked).toEqual([]);
    await using closed = await scene({ access: { scheme: "basic", ...user }, session: { credentials } });
    await Promise.all([closed.repository.tryUpload(), closed.repository.ping(), closed.repository.headManifest("x")]);
    expect(asked).toEqual([closed.registry.host]);
  });

  test("a password that is wrong is not tried again and again", async () => {
    await using stage = await scene({
      access: { scheme: "basic", ...user },
      session: { credentials: async () => ({ ...user, password: "wrong-password" }) },
    });
    const error = await stage.repository.ping().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "unauthorized", status: 401 });
    expect(String(error)).not.toContain("wrong-password");
    expect(stage.registry.requests.length).toBeLessThanOrEqual(3);
  });

  test("whoever has none is told to log in", async () => {
    await using stage = await scene({
      access: { scheme: "basic", ...user },
      session: { credentials: async () => undefined },
    });
    await expect(stage.repository.ping()).rejects.toMatchObject({
      code: "unauthorized",
      hint: expect.stringContaining(`docker login ${stage.registry.host}`),
    });
  });

  test("an unknown kind of authentication is refused", async () => {
    const server = createServer((_, response) => response.writeHead(401, { "www-authenticate": "Negotiate" }).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await using stage = await scene();
    const { port } = server.address() as { port: number };
    using repository = openRepository({ registry: `127.0.0.1:${port}`, repository: repositoryName }, stage.session);
    await expect(repository.ping()).rejects.toMatchObject({ code: "unauthorized" });
    server.closeAllConnections();
    server.close();
  });
});
