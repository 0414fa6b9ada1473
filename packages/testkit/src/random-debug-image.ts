import { randomBytes } from "node:crypto";
import type { DebugImage, ImageSpec, Layer } from "@melange2/core";
import { layerFromEntries, tarHeader } from "@melange2/oci";
import { layeredImage } from "./layered-image.ts";

export interface RandomDebugImageOptions {
  /** Default 2. */
  readonly layers?: number;
  /** Of each layer; default 10,000. */
  readonly bytes?: number;
  readonly spec?: Partial<ImageSpec>;
  /** Below the random layers; none by default. */
  readonly base?: readonly Layer[];
}

/** A valid debug image that no other one equals. */
export function randomDebugImage(options: RandomDebugImageOptions = {}): DebugImage {
  const steps = Array.from({ length: options.layers ?? 2 }, (_, index) => randomLayer(index, options.bytes ?? 10_000));
  const spec = { ...debugImageSpec(steps.length), ...options.spec };
  return layeredImage({ spec, base: options.base ?? [], steps });
}

function randomLayer(index: number, bytes: number): Layer {
  const body = randomBytes(bytes);
  const name = `home/build/random-${index}`;
  const folders = ["home", "home/build"].map((folder) => ({ header: tarHeader({ name: folder, type: "directory" }) }));
  return layerFromEntries([...folders, { header: tarHeader({ name, type: "file", size: body.length }), body }]);
}

function debugImageSpec(layers: number): ImageSpec {
  const record = new TextEncoder().encode('{"note":"a random image"}\n');
  return {
    platform: { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" },
    config: { Env: ["PATH=/usr/bin:/bin", "STEP=main-1"], WorkingDir: "/home/build", Cmd: ["/bin/sh"] },
    labels: { "melange2.step": "main-1" },
    annotations: { "melange2.step": "main-1" },
    created: "2026-11-01T12:00:00.000Z",
    history: Array.from({ length: layers }, (_, index) => `melange2 step main-${index}`),
    files: [
      { path: ".melange2", kind: "directory", mode: 0o755, owner: { uid: 0, gid: 0 }, size: 0, open: () => bytesOf() },
      {
        path: ".melange2/record.json",
        kind: "file",
        mode: 0o644,
        owner: { uid: 0, gid: 0 },
        size: record.length,
        open: () => bytesOf(record),
      },
    ],
  };
}

async function* bytesOf(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
