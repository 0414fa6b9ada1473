import { describe, expect, it } from "vitest";
import { isMelangeError } from "./error.ts";
import { exportContext } from "./export-context.ts";
import type { DebugImage } from "./image.ts";

const context = exportContext({
  package: "libstdc++",
  version: "1.0-r0",
  arch: "x86_64",
  cwd: "/",
  env: {},
  runtimes: [],
  stdout: { write: async () => {}, close: async () => {} },
});
const failure = { build: "b-1", step: "main-1" };

describe("fill", () => {
  it("leaves what the failure will name until there is one", () => {
    expect(context.fill("{package}-{version}-{arch}-{step}-{build}")).toBe("libstdc++-1.0-r0-x86_64-{step}-{build}");
    expect(context.fill("{step}-{build}", failure)).toBe("main-1-b-1");
  });

  it("refuses other placeholders, also names that every object has", () => {
    for (const text of ["{nope}", "{constructor}", "{}"]) expect(() => context.fill(text)).toThrow(/is not known/);
  });
});

it("brings what fills an image's name into the alphabet of names", () => {
  expect(context.imageName("debug:{package}-{build}", failure)).toBe("debug:libstdc-b-1");
  expect(() => context.imageName("Debug")).toThrow(/not a name for an image/);
});

describe("deliverArchive", () => {
  const image = (deliver: DebugImage["deliver"]) =>
    ({ deliver, open: () => Promise.reject(new TypeError("not asked for")) }) as unknown as DebugImage;
  const request = (write: (chunk: Uint8Array) => Promise<void> = async () => {}) =>
    ({ format: "docker", compression: "none", names: [], sink: { write, close: async () => {} } }) as const;
  const exporting = (signal = new AbortController().signal) => ({ signal, failure, onProgress: () => {} });

  it("blames an engine that writes no archive", async () => {
    const refused = context.deliverArchive(
      image(async () => undefined),
      request(),
      exporting(),
    );
    await expect(refused).rejects.toMatchObject({ code: "engine" });
  });

  it("is interrupted although the engine goes on, before it, under it and after it", async () => {
    const delivered = { imageId: "sha256:0", bytes: 1 } as const;
    const aborted = AbortSignal.abort();
    const never = image(() => Promise.reject(new TypeError("not reached")));
    await expect(context.deliverArchive(never, request(), exporting(aborted))).rejects.toMatchObject({
      code: "interrupted",
    });
    const stop = new AbortController();
    let written = 0;
    const stubborn = image(async (target) => {
      if (target.kind !== "archive") return undefined;
      for (;;) {
        await target.sink.write(new Uint8Array(1));
        written += 1;
        if (written === 3) stop.abort();
      }
    });
    await expect(context.deliverArchive(stubborn, request(), exporting(stop.signal))).rejects.toMatchObject({
      code: "interrupted",
    });
    expect(written).toBe(3);
    const late = new AbortController();
    const finished = image(async () => {
      late.abort();
      return delivered;
    });
    await expect(context.deliverArchive(finished, request(), exporting(late.signal))).rejects.toMatchObject({
      code: "interrupted",
    });
  });

  it("leaves errors of the sink that are ours as they are, and wraps others", async () => {
    const writing = image(async (target) => {
      if (target.kind === "archive") await target.sink.write(new Uint8Array(1));
      return undefined;
    });
    const ours = context.error("export", "the disk is full", { hint: "Free some space." });
    await expect(
      context.deliverArchive(
        writing,
        request(() => Promise.reject(ours)),
        exporting(),
      ),
    ).rejects.toBe(ours);
    const error = await context
      .deliverArchive(
        writing,
        request(() => Promise.reject(new Error("EIO"))),
        exporting(),
      )
      .catch((caught: unknown) => caught);
    expect(isMelangeError(error) && [error.code, error.message]).toEqual([
      "export",
      "the image cannot be delivered: EIO",
    ]);
  });
});
