import { createServer } from "node:net";
import type { Fault, Reply } from "@melange2/testkit";
import { describe, expect, test } from "vitest";
import { isRegistryError, openRepository, pushImage, type RegistryErrorCode } from "../src/index.ts";
import { blobOf, imageOf, noise, noiseLayer, password, repositoryName, type Scene, scene, user } from "./scene.ts";

interface Case {
  readonly name: string;
  readonly faults: readonly Fault[];
  /** The code it fails with; without one, it succeeds all the same. */
  readonly fails?: RegistryErrorCode;
  readonly check?: (scene: Scene, error: Error | undefined) => void;
}

const uploads = /\/blobs\/uploads\/?$/;
const upload = /\/blobs\/uploads\/.+/;
const headers =
  (changed: Reply["headers"]): ((reply: Reply) => Reply) =>
  (reply) => ({ ...reply, headers: { ...reply.headers, ...changed } });
const always = Number.POSITIVE_INFINITY;
const errors = (code: string, message: string): Buffer => Buffer.from(JSON.stringify({ errors: [{ code, message }] }));
const otherDigest = `sha256:${"0".repeat(64)}`;

const cases: readonly Case[] = [
  {
    name: "an upload is refused with 500 twice",
    faults: [{ method: "POST", path: uploads, times: 2, answer: { status: 500 } }],
  },
  {
    name: "a busy registry says when to come back",
    faults: [{ method: "POST", path: uploads, answer: { status: 503, headers: { "retry-after": "7" } } }],
    check: ({ clock }) => expect(clock.slept).toContain(7000),
  },
  {
    name: "too many requests, with a date to come back at",
    faults: [
      {
        method: "POST",
        path: uploads,
        answer: { status: 429, headers: { "retry-after": "Sun, 01 Nov 2026 12:00:30 GMT" } },
      },
    ],
    check: ({ clock }) => expect(clock.slept).toContain(30_000),
  },
  {
    name: "too many requests for ever",
    faults: [{ method: "POST", path: uploads, times: always, answer: { status: 429 } }],
    fails: "rate-limited",
  },
  {
    name: "too many requests until tomorrow: nobody waits for that",
    faults: [{ method: "HEAD", times: always, answer: { status: 429, headers: { "retry-after": "86400" } } }],
    fails: "rate-limited",
    check: ({ clock }, error) => {
      expect(clock.slept).toEqual([]);
      expect(isRegistryError(error) && error.hint).toContain("86400 s");
    },
  },
  {
    name: "nothing but 502",
    faults: [{ times: always, answer: { status: 502 } }],
    fails: "unavailable",
    check: ({ clock }) => expect(clock.slept.length).toBeGreaterThanOrEqual(4),
  },
  { name: "the connection is cut before an answer", faults: [{ method: "POST", path: uploads, cutAnswer: -1 }] },
  {
    name: "the connection is cut in the middle of a blob",
    faults: [{ method: "PUT", path: upload, cutRequest: 20_000 }],
  },
  {
    name: "the connection is cut in every blob",
    faults: [
      { method: "PUT", path: upload, times: always, cutRequest: 1 },
      { method: "PATCH", times: always, cutRequest: 1 },
    ],
    fails: "unavailable",
  },
  {
    name: "the answer to a whole blob is lost: it is not sent again",
    faults: [{ method: "PUT", path: upload, cutAnswer: -1 }],
    check: ({ registry }) =>
      expect(registry.requests.filter(({ method, url }) => method === "PUT" && upload.test(url))).toHaveLength(3),
  },
  {
    name: "the manifest is refused with 500 once",
    faults: [{ method: "PUT", path: "/manifests/", answer: { status: 500 } }],
  },
  { name: "the answer to the manifest is lost", faults: [{ method: "PUT", path: "/manifests/", cutAnswer: -1 }] },
  {
    name: "the manifest was stored as something else",
    faults: [{ method: "PUT", path: "/manifests/", change: headers({ "docker-content-digest": otherDigest }) }],
    fails: "digest",
  },
  {
    name: "a blob was stored as something else",
    faults: [{ method: "PUT", path: upload, change: headers({ "docker-content-digest": otherDigest }) }],
    fails: "digest",
  },
  {
    name: "a blob arrived damaged, every time",
    faults: [
      { method: "PUT", path: upload, times: always, answer: { status: 400, body: errors("DIGEST_INVALID", "no") } },
    ],
    fails: "rejected",
  },
  {
    name: "an upload without a place",
    faults: [{ method: "POST", path: uploads, change: headers({ location: undefined }) }],
    fails: "protocol",
  },
  {
    name: "an upload to a file",
    faults: [{ method: "POST", path: uploads, change: headers({ location: "file:///etc/passwd" }) }],
    fails: "protocol",
  },
  {
    name: "an upload that is redirected in a circle",
    faults: [{ method: "POST", path: uploads, times: always, answer: { status: 307, headers: { location: "" } } }],
    fails: "protocol",
  },
  {
    name: "success where a session was asked for",
    faults: [{ method: "POST", path: uploads, answer: { status: 200 } }],
    fails: "protocol",
  },
  { name: "an upload is forgotten under way", faults: [{ method: "PUT", path: upload, answer: { status: 404 } }] },
  {
    name: "this user may not push here",
    faults: [
      {
        method: "POST",
        path: uploads,
        answer: { status: 403, body: errors("DENIED", "requested access to the resource is denied") },
      },
    ],
    fails: "unauthorized",
    check: (_, error) => expect(error?.message).toContain("DENIED requested access to the resource is denied"),
  },
  {
    name: "a refusal that repeats the password",
    faults: [
      {
        method: "POST",
        path: uploads,
        answer: { status: 403, body: errors("DENIED", `${password} is not good enough`) },
      },
    ],
    fails: "unauthorized",
    check: (_, error) => expect(error?.message).toContain("*** is not good enough"),
  },
  {
    name: "a refusal that repeats the password where its quotation ends",
    faults: [
      {
        method: "POST",
        path: uploads,
        answer: { status: 403, body: errors("DENIED", `${"x".repeat(285)}${password}`) },
      },
    ],
    fails: "unauthorized",
    check: (_, error) => expect(error?.message).not.toContain(password.slice(0, 5)),
  },
  {
    name: "a refusal with terminal escapes",
    faults: [
      { method: "POST", path: uploads, answer: { status: 400, body: errors("BAD", "\u001b[2Jgone\u0007\r\nnext") } },
    ],
    fails: "rejected",
    check: (_, error) => expect(error?.message).not.toMatch(/[\u0000-\u001f]/),
  },
  {
    name: "a refusal of many megabytes",
    faults: [{ method: "POST", path: uploads, answer: { status: 400, body: Buffer.alloc(5_000_000, "x") } }],
    fails: "rejected",
    check: (_, error) => expect(error?.message.length).toBeLessThan(500),
  },
  {
    name: "errors that are no list",
    faults: [{ method: "POST", path: uploads, answer: { status: 400, body: Buffer.from('{"errors":{"code":1}}') } }],
    fails: "rejected",
  },
  { name: "a blob is too large for one request", faults: [{ method: "PUT", path: upload, answer: { status: 413 } }] },
  {
    name: "the registry claims to have a blob that it lacks",
    faults: [{ method: "HEAD", path: "/blobs/", answer: { status: 200 } }],
    fails: "not-found",
  },
  { name: "answers come byte by byte", faults: [{ times: always, trickle: 1 }] },
  { name: "no answer comes at all, once", faults: [{ method: "POST", path: uploads, stall: true }] },
  { name: "no answer comes at all", faults: [{ times: always, method: "HEAD", stall: true }], fails: "unavailable" },
  {
    name: "the password is no longer good",
    faults: [{ times: always, after: 3, answer: { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } } }],
    fails: "unauthorized",
    check: (_, error) => expect(isRegistryError(error) && error.hint).toContain("docker login"),
  },
];

describe("a push, when", () => {
  test.for(cases)("$name", async ({ faults, fails, check }) => {
    await using stage = await scene({ access: { scheme: "basic", ...user }, session: { idleTimeout: 150 } });
    const { registry, repository, abort, directory } = stage;
    const image = imageOf([noiseLayer(60_000, 1), noiseLayer(70_000, 2)]);
    for (const fault of faults) registry.misbehave(fault);

    const outcome = await pushImage(repository, image, {
      tag: "failed",
      signal: abort.signal,
      spoolDirectory: directory,
    }).catch((error: unknown) => error as Error);

    const stored = registry.repository(repositoryName);
    if (fails === undefined) {
      expect(outcome).not.toBeInstanceOf(Error);
      const { manifest } = outcome as Awaited<ReturnType<typeof pushImage>>;
      expect(stored.tags.get("failed")).toBe(manifest.digest);
      expect(stored.blobs.get(image.imageId)).toEqual(Buffer.from(image.config));
      expect(stored.blobs.size).toBe(3);
      check?.(stage, undefined);
    } else {
      expect(isRegistryError(outcome) ? outcome.code : outcome).toBe(fails);
      if (fails !== "digest") expect(stored.tags.size).toBe(0);
      check?.(stage, outcome as Error);
    }
    expectNoSecret(outcome);
  });

  test("the registry is gone", async () => {
    const stage = await scene();
    await using _ = stage;
    await stage.registry[Symbol.asyncDispose]();
    await expect(stage.repository.ping()).rejects.toMatchObject({ code: "unavailable" });
  });

  test("something else listens on its port", async () => {
    const server = createServer((socket) => socket.end("SSH-2.0-OpenSSH_9.2p1\r\n"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await using stage = await scene();
    using repository = openRepository(
      { registry: `127.0.0.1:${port}`, repository: repositoryName },
      { ...stage.session, tls: { plain: true } },
    );
    await expect(repository.ping()).rejects.toMatchObject({ code: "protocol" });
    server.close();
  });

  test("it is aborted in the middle of a blob", async () => {
    await using stage = await scene();
    const reason = new Error("interrupted");
    stage.registry.misbehave({ method: "PUT", path: upload, stall: true });
    const pushing = stage.repository.uploadBlob(blobOf(noise(200_000, 3)), {
      onProgress: (sent) => {
        if (sent > 0) stage.abort.abort(reason);
      },
    });
    await expect(pushing).rejects.toBe(reason);
    await expect(stage.repository.ping()).rejects.toBe(reason);
  });

  test("it is aborted while it waits for the next attempt", async () => {
    const abort = new AbortController();
    const reason = new Error("interrupted");
    const clock = {
      now: () => 0,
      sleep: async (_: number, signal: AbortSignal) => {
        abort.abort(reason);
        signal.throwIfAborted();
      },
    };
    await using stage = await scene({ session: { clock, signal: abort.signal } });
    stage.registry.misbehave({ times: always, answer: { status: 500 } });
    await expect(stage.repository.hasBlob(blobOf(noise(1, 1)).descriptor.digest)).rejects.toBe(reason);
  });

  test("the blob's own source breaks: that is told as it is, and not tried again", async () => {
    await using stage = await scene();
    const blob = blobOf(noise(50_000, 4));
    const broken = new Error("disk on fire");
    let opened = 0;
    const source = {
      ...blob,
      async *open() {
        opened += 1;
        yield noise(10_000, 1);
        throw broken;
      },
    };
    await expect(stage.repository.uploadBlob(source)).rejects.toBe(broken);
    expect(opened).toBe(1);
  });

  test("the blob's own source gives less than it promised", async () => {
    await using stage = await scene();
    const source = { ...blobOf(noise(50_000, 4)), open: blobOf(noise(40_000, 4)).open };
    await expect(stage.repository.uploadBlob(source)).rejects.toMatchObject({ code: "digest" });
  });

  test("the upload is to go to another host: it goes there, the password does not", async () => {
    await using stage = await scene({ access: { scheme: "basic", ...user } });
    await using other = await scene();
    stage.registry.misbehave({
      method: "POST",
      path: uploads,
      change: (reply) => {
        const id = /[0-9a-f-]{36}$/.exec(reply.headers.location ?? "")?.[0] as string;
        const { uploads: there } = other.registry.repository(repositoryName);
        there.set(id, { id, chunks: [], size: 0 });
        return headers({ location: `${other.registry.origin}${reply.headers.location}` })(reply);
      },
    });
    const blob = blobOf(noise(30_000, 5));
    await expect(stage.repository.uploadBlob(blob)).resolves.toBe("uploaded");
    expect(other.registry.repository(repositoryName).blobs.has(blob.descriptor.digest)).toBe(true);
    expect(other.registry.requests).not.toEqual([]);
    expect(other.registry.requests.filter(({ headers: sent }) => sent.authorization !== undefined)).toEqual([]);
  });
});

describe("an upload in chunks, when", () => {
  const chunkCases: readonly Case[] = [
    { name: "all goes well", faults: [], check: ({ registry }) => expect(registry.bytesReceived).toBe(100_000) },
    {
      name: "a chunk is cut off: it goes on where it stopped",
      faults: [{ method: "PATCH", after: 2, cutRequest: 5_000 }],
      check: ({ registry }) => expect(registry.bytesReceived).toBeLessThan(100_000 + 2 * 32_000),
    },
    {
      name: "the answer to a chunk is lost: the chunk is not sent again",
      faults: [{ method: "PATCH", after: 1, cutAnswer: -1 }],
      check: ({ registry }) => expect(registry.bytesReceived).toBe(100_000),
    },
    { name: "a chunk fails with 500", faults: [{ method: "PATCH", after: 1, answer: { status: 500 } }] },
    { name: "the registry claims less than it has", faults: [{ method: "PATCH", change: headers({ range: "0-99" }) }] },
    {
      name: "the registry claims more than it has",
      faults: [{ method: "PATCH", change: headers({ range: "0-99999999" }) }],
    },
    { name: "the registry counts in nonsense", faults: [{ method: "PATCH", change: headers({ range: "0-many" }) }] },
    {
      name: "the registry does not count at all",
      faults: [{ method: "PATCH", times: always, change: headers({ range: undefined }) }],
    },
    { name: "it knows no chunks", faults: [{ method: "PATCH", times: always, answer: { status: 405 } }] },
    {
      name: "the state of the upload cannot be told",
      faults: [
        { method: "PATCH", after: 1, cutRequest: 10 },
        { method: "GET", path: upload, answer: { status: 404 } },
      ],
    },
    {
      name: "the state of the upload is nonsense",
      faults: [
        { method: "PATCH", after: 1, cutRequest: 10 },
        { method: "GET", path: upload, change: headers({ range: "all" }) },
      ],
    },
    {
      name: "it wants larger chunks",
      faults: [{ method: "POST", path: uploads, change: headers({ "oci-chunk-min-length": "60000" }) }],
      check: ({ registry }) =>
        expect(registry.requests.filter(({ method }) => method === "PATCH").map(({ bodyBytes }) => bodyBytes)).toEqual([
          60_000, 40_000,
        ]),
    },
    {
      name: "every chunk is out of step",
      faults: [{ method: "PATCH", times: always, answer: { status: 416 } }],
      fails: "protocol",
    },
  ];

  test.for(chunkCases)("$name", async ({ faults, fails, check }) => {
    await using stage = await scene();
    for (const fault of faults) stage.registry.misbehave(fault);
    const content = noise(100_000, 6);
    const blob = blobOf(content);
    const outcome = await stage.repository
      .uploadBlob(blob, { mode: "chunks", chunkSize: 32_000 })
      .catch((error: unknown) => error as Error);
    if (fails === undefined) {
      expect(outcome).toBe("uploaded");
      expect(stage.registry.repository(repositoryName).blobs.get(blob.descriptor.digest)).toEqual(content);
    } else {
      expect(isRegistryError(outcome) ? outcome.code : outcome).toBe(fails);
    }
    check?.(stage, undefined);
  });

  test("the registry restarts under way", async () => {
    await using stage = await scene();
    const content = noise(100_000, 7);
    let restarted = false;
    const outcome = await stage.repository
      .uploadBlob(blobOf(content), {
        mode: "chunks",
        chunkSize: 32_000,
        onProgress: (sent) => {
          if (sent < 50_000 || restarted) return;
          restarted = true;
          stage.registry.forgetUploads();
        },
      })
      .catch((error: unknown) => error);
    expect(outcome).toBe("uploaded");
  });
});

describe("a mount", () => {
  test.for([
    {
      name: "is not done: the upload that it opened is cancelled",
      fault: { method: "POST", path: uploads, change: (reply: Reply) => reply },
    },
    { name: "is forbidden", fault: { method: "POST", path: uploads, answer: { status: 403 } } },
    { name: "breaks the registry", fault: { method: "POST", path: uploads, times: 5, answer: { status: 500 } } },
  ] as const)("$name, and the blob is uploaded", async ({ fault }) => {
    await using stage = await scene();
    const blob = blobOf(noise(20_000, 8));
    stage.registry.misbehave(fault);
    await expect(stage.repository.uploadBlob(blob, { mountFrom: ["team/base"] })).resolves.toBe("uploaded");
    expect(stage.registry.repository(repositoryName).uploads.size).toBe(0);
  });
});

/** Neither message, hint nor cause may hold what the registry was told in confidence. */
function expectNoSecret(outcome: unknown): void {
  const secrets = [password, Buffer.from(`${user.username}:${password}`).toString("base64")];
  for (let error = outcome; error instanceof Error; error = error.cause) {
    const told = `${error.message} ${error.stack} ${JSON.stringify(error)}`;
    for (const secret of secrets) expect(told).not.toContain(secret);
  }
}
