import assert from "node:assert/strict";
import {
  type ByteSink,
  type DebugImage,
  type Delivered,
  type ExportContext,
  type Exporter,
  exportContext,
  type FailureNames,
  isMelangeError,
  type LocalImage,
  type OptionSchema,
  type Options,
  type Receipt,
  type Target,
} from "@melange2/core";
import { parseImageConfig } from "@melange2/oci";
import { randomDebugImage } from "./random-debug-image.ts";
import type { ArrivedImage } from "./read-image-archive.ts";
import type { SuiteTest } from "./suite-test.ts";

/** A destination of its own for one test. */
export interface ExporterSubject<S extends OptionSchema> extends AsyncDisposable {
  /** What leads there. */
  readonly options: Options<S>;
  /** Where the exporter needs something of the host: its folder, its environment variables. */
  readonly context?: Partial<ExportContext>;
  /** What is there under the final name now; undefined: nothing. */
  arrived(): Promise<ArrivedImage | undefined>;
}

export interface ExporterSuiteOptions<S extends OptionSchema> {
  readonly test: SuiteTest;
  readonly exporter: Exporter<S>;
  readonly subject: () => Promise<ExporterSubject<S>>;
  /** Options that must be refused before the build, by what is wrong with them. */
  readonly refused: Readonly<Record<string, (valid: Options<S>) => Options<S>>>;
}

const failure: FailureNames = { build: "b-1", step: "main-1" };

/** Holds an exporter to its contract: refuses before the build, delivers what it was given, all or nothing, stops when told to. */
export function exporterSuite<S extends OptionSchema>(options: ExporterSuiteOptions<S>): void {
  const { test, exporter } = options;

  test("says who it is and describes its options", async () => {
    assert.match(exporter.name, /^[a-z][a-z0-9-]*$/);
    assert.equal(exporter.contract, 1);
    assert.match(exporter.summary, /^[^\n]{1,120}$/, "the summary is one line");
    for (const [name, spec] of Object.entries(exporter.options)) {
      assert.match(name, /^[a-z][a-z0-9-]*$/, "an option's name becomes a flag");
      assert.match(spec.description, /^[^\n]+$/, `${name} is described in one line`);
      assert.ok(!(spec.required && spec.default !== undefined), `${name} is required and has a default`);
      if (spec.type === "enum" && spec.default !== undefined) assert.ok(spec.values.includes(spec.default), name);
    }
  });

  test("prepares without delivering anything", async () => {
    await using subject = await options.subject();
    const prepared = await exporter.prepare(subject.options, contextFor(subject));
    assert.match(prepared.destination, /^[^\n]+$/, "the destination is one line");
    assert.equal(await subject.arrived(), undefined);
  });

  for (const [what, change] of Object.entries(options.refused)) {
    test(`refuses before the build: ${what}`, async () => {
      await using subject = await options.subject();
      const error = await rejection(exporter.prepare(change(subject.options), contextFor(subject)));
      assert.ok(isMelangeError(error) && error.code === "usage", `rejects with code usage, not ${error}`);
      assert.ok(error.hint, "a refusal says what to do");
      assert.equal(await subject.arrived(), undefined);
    });
  }

  test("finds nothing wrong with a destination that works", async (context) => {
    await using subject = await options.subject();
    const prepared = await exporter.prepare(subject.options, contextFor(subject));
    if (!prepared.probe) return context.skip(`${exporter.name} has no probe`);
    assert.deepEqual(await prepared.probe({ signal: new AbortController().signal }), []);
    assert.equal(await subject.arrived(), undefined, "a probe leaves nothing behind");
  });

  test("delivers the image as it is, and tells how to open it", async () => {
    await using subject = await options.subject();
    const image = randomDebugImage();
    const { receipt, progress } = await exportTo(exporter, subject, image);
    await assertArrived(subject, image);
    assertReceipt(receipt);
    assert.ok(receipt.bytes > 0, "bytes were moved");
    assert.deepEqual(
      progress.map(([done]) => done),
      progress.map(([done]) => done).sort((a, b) => a - b),
      "progress never goes back",
    );
    for (const [done, total] of progress) assert.ok(total === undefined || done <= total, `${done} of ${total} bytes`);
  });

  test("delivers an image of no steps, and one of fifty layers", async () => {
    for (const layers of [0, 50]) {
      await using subject = await options.subject();
      const image = randomDebugImage({ layers, bytes: 10 });
      await exportTo(exporter, subject, image);
      await assertArrived(subject, image);
    }
  });

  test("asks the engine to deliver first, and believes it when it has", async () => {
    await using subject = await options.subject();
    const image = randomDebugImage();
    const told: Delivered = { imageId: `sha256:${"5".repeat(64)}`, bytes: 12345 };
    const targets: Target["kind"][] = [];
    const claiming: DebugImage = {
      ...image,
      deliver: async (target, delivering) => {
        targets.push(target.kind);
        if (target.kind === "archive") await image.deliver(target, delivering);
        return told;
      },
      open: () => assert.fail("the engine has delivered: its bytes are not wanted here"),
    };
    const { receipt } = await exportTo(exporter, subject, claiming);
    assert.equal(targets.length, 1);
    assert.equal(receipt.bytes, told.bytes);
  });

  test("takes the same image twice, with the same image ID", async () => {
    await using subject = await options.subject();
    const image = randomDebugImage();
    const first = await exportTo(exporter, subject, image);
    const second = await exportTo(exporter, subject, image);
    assert.equal(second.receipt.imageId, first.receipt.imageId);
    await assertArrived(subject, image);
  });

  test("puts a newer image under the same name", async () => {
    await using subject = await options.subject();
    await exportTo(exporter, subject, randomDebugImage());
    const newer = randomDebugImage();
    await exportTo(exporter, subject, newer);
    await assertArrived(subject, newer);
  });

  test("leaves nothing of an image that breaks off, and takes it again afterwards", async () => {
    await using subject = await options.subject();
    const image = randomDebugImage({ layers: 3, bytes: 200_000 });
    const failing = interceptBytes(image, 300_000, () => {
      throw new Error("the layer store is damaged");
    });
    const error = await rejection(exportTo(exporter, subject, failing));
    assert.ok(isMelangeError(error), `rejects with a MelangeError, not ${error}`);
    assert.equal(await subject.arrived(), undefined, "half an image arrived under the final name");
    await exportTo(exporter, subject, image);
    await assertArrived(subject, image);
  });

  test("does nothing when it is interrupted before", async () => {
    await using subject = await options.subject();
    const stop = new AbortController();
    stop.abort();
    const error = await rejection(exportTo(exporter, subject, randomDebugImage(), stop.signal));
    assert.ok(isMelangeError(error) && error.code === "interrupted", `rejects with code interrupted, not ${error}`);
    assert.equal(await subject.arrived(), undefined);
  });

  test("stops when it is interrupted half-way, also under an engine that goes on", async () => {
    await using subject = await options.subject();
    const stop = new AbortController();
    const image = interceptBytes(randomDebugImage({ layers: 3, bytes: 200_000 }), 300_000, () => stop.abort());
    const error = await rejection(exportTo(exporter, subject, image, stop.signal));
    assert.ok(isMelangeError(error) && error.code === "interrupted", `rejects with code interrupted, not ${error}`);
    assert.equal(await subject.arrived(), undefined, "half an image arrived under the final name");
  });
}

/** An export context that a test needs nothing of: a package `hello`, output thrown away. */
export function testExportContext(changes: Partial<ExportContext> = {}): ExportContext {
  const { cwd = "/", env = {}, runtimes = ["docker"], stdout = nowhere } = changes;
  const { package: name = "hello", version = "2.10", arch = "x86_64" } = changes;
  return { ...exportContext({ cwd, env, runtimes, stdout, package: name, version, arch }), ...changes };
}

const nowhere: ByteSink = { write: async () => {}, close: async () => {} };

function contextFor<S extends OptionSchema>(subject: ExporterSubject<S>): ExportContext {
  return testExportContext(subject.context);
}

async function exportTo<S extends OptionSchema>(
  exporter: Exporter<S>,
  subject: ExporterSubject<S>,
  image: DebugImage,
  signal: AbortSignal = new AbortController().signal,
): Promise<{ readonly receipt: Receipt; readonly progress: readonly (readonly [number, number | undefined])[] }> {
  const prepared = await exporter.prepare(subject.options, contextFor(subject));
  const progress: (readonly [number, number | undefined])[] = [];
  const onProgress = (done: number, total: number | undefined) => void progress.push([done, total]);
  return { receipt: await prepared.export(image, { signal, failure, onProgress }), progress };
}

async function assertArrived<S extends OptionSchema>(subject: ExporterSubject<S>, image: DebugImage): Promise<void> {
  await using local = await image.open({ signal: new AbortController().signal });
  const sent = parseImageConfig(local.config);
  const arrived = await subject.arrived();
  assert.ok(arrived, "nothing arrived");
  assert.deepEqual(arrived.diffIds, sent.diffIds, "the layers are not the image's");
  const { Env, WorkingDir, Cmd, Labels } = arrived.config;
  assert.deepEqual(
    { Env, WorkingDir, Cmd, Labels },
    {
      Env: sent.config.Env,
      WorkingDir: sent.config.WorkingDir,
      Cmd: sent.config.Cmd,
      Labels: sent.config.Labels,
    },
  );
}

function assertReceipt(receipt: Receipt): void {
  assert.deepEqual(JSON.parse(JSON.stringify(receipt)), receipt, "a receipt is plain data");
  assert.match(receipt.imageId, /^sha256:[0-9a-f]{64}$/);
  assert.match(receipt.location, /^[^\n]+$/);
  assert.ok(receipt.open.length > 0, "a receipt tells how to open the image");
  for (const argv of receipt.open) {
    assert.ok(argv.length > 0 && argv.every((word) => word !== ""), `a command as argv: ${JSON.stringify(argv)}`);
  }
}

/** The same image, which does something once this many bytes of it were handed over, whichever way they go. */
function interceptBytes(image: DebugImage, after: number, act: () => void): DebugImage {
  let handed = 0;
  const count = (chunk: Uint8Array) => {
    const before = handed;
    handed += chunk.length;
    if (before < after && handed >= after) act();
  };
  // Neither way tells the exporter's signal to the image: the exporter has to stop by itself.
  const { signal } = new AbortController();
  return {
    ...image,
    deliver(target, options) {
      if (target.kind !== "archive") return image.deliver(target, { ...options, signal });
      const { sink } = target;
      const write = async (chunk: Uint8Array) => {
        count(chunk);
        await sink.write(chunk);
      };
      return image.deliver({ ...target, sink: { write, close: () => sink.close() } }, { ...options, signal });
    },
    async open(options): Promise<LocalImage> {
      const local = await image.open({ ...options, signal });
      const layers = local.layers.map((layer) => ({
        ...layer,
        async *open(as: "tar" | "blob") {
          for await (const chunk of layer.open(as)) {
            count(chunk);
            yield chunk;
          }
        },
      }));
      return { ...local, layers };
    },
  };
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail("it was expected to reject");
}
