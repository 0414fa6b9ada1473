import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImageConfig, digestOf, type Layer, layerFromBytes, mediaTypes } from "@melange2/oci";
import { type MemoryRegistry, type MemoryRegistryOptions, startMemoryRegistry } from "@melange2/testkit";
import { type Clock, openRepository, type PushableImage, type Repository, type SessionOptions } from "../src/index.ts";

/** Never leaves a test's messages. */
export const password = "correct-horse-battery";
export const user = { username: "tester", password };

/** A clock that sleeps in no time and remembers for how long. */
export interface TestClock extends Clock {
  readonly slept: readonly number[];
  advance(milliseconds: number): void;
}

export function testClock(): TestClock {
  const slept: number[] = [];
  let now = Date.parse("2026-11-01T12:00:00Z");
  return {
    slept,
    now: () => now,
    async sleep(milliseconds, signal) {
      signal.throwIfAborted();
      slept.push(milliseconds);
      now += milliseconds;
    },
    advance(milliseconds) {
      now += milliseconds;
    },
  };
}

/** A registry, a repository opened at it, and a directory for the test's own files. Disposed together. */
export interface Scene extends AsyncDisposable {
  readonly registry: MemoryRegistry;
  readonly repository: Repository;
  readonly clock: TestClock;
  readonly directory: string;
  readonly abort: AbortController;
  readonly session: SessionOptions;
}

export interface SceneOptions extends MemoryRegistryOptions {
  readonly session?: Partial<SessionOptions>;
}

export const repositoryName = "team/debug";

export async function scene({ session: overrides, ...options }: SceneOptions = {}): Promise<Scene> {
  const registry = await startMemoryRegistry(options);
  const clock = testClock();
  const abort = new AbortController();
  const session: SessionOptions = {
    signal: abort.signal,
    clock,
    credentials: async () => user,
    ...overrides,
  };
  const repository = openRepository({ registry: registry.host, repository: repositoryName }, session);
  const directory = await mkdtemp(join(tmpdir(), "melange2-registry-client-"));
  return {
    registry,
    repository,
    clock,
    directory,
    abort,
    session,
    async [Symbol.asyncDispose]() {
      repository[Symbol.dispose]();
      await registry[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

/** Bytes that differ for each seed and do not compress. */
export function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < size; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    bytes[at] = state & 255;
  }
  return bytes;
}

/** A blob that gives its bytes in pieces. */
export function blobOf(content: Buffer) {
  return {
    descriptor: { mediaType: mediaTypes.layerGzip, digest: digestOf(content), size: content.length },
    async *open() {
      for (let at = 0; at < content.length; at += 10_000) yield content.subarray(at, at + 10_000);
    },
  };
}

export const platform = { os: "linux", architecture: "amd64" };

export function imageOf(layers: readonly Layer[]): PushableImage & { readonly imageId: string } {
  const { content, imageId } = buildImageConfig({
    platform,
    config: { WorkingDir: "/home/build", Env: ["STEP=main-1"] },
    diffIds: layers.map(({ diffId }) => diffId),
    history: layers.map((_, index) => `layer ${index}`),
    created: "2026-11-01T12:00:00Z",
  });
  return { config: content, imageId, annotations: { "melange2.step": "main-1" }, layers };
}

/** Layers that hold noise instead of a tar: nothing here looks inside. */
export function noiseLayer(size: number, seed: number): Layer {
  return layerFromBytes(noise(size, seed));
}
