import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  blobFromFile,
  buildImageConfig,
  compressLayer,
  layerFromEntries,
  tarHeader,
  writeArchive,
} from "@melange2/oci";
import { describe, expect, test } from "vitest";
import { amd64, plant, run, scratch } from "../test/scratch.ts";
import { isExportedArchive, isExportedLayout } from "./exported-image.ts";
import { sourceFiles } from "./source-files.ts";

const { signal } = new AbortController();

/** An archive as exporters write it, with these labels; gives its path. */
async function archive(labels: Readonly<Record<string, string>>, compression: "none" | "gzip" | "zstd" = "gzip") {
  const header = tarHeader({ name: "etc/file", type: "file", size: 100_000 });
  const layer = layerFromEntries([{ header, body: randomBytes(100_000) }]);
  const { content } = buildImageConfig({
    platform: amd64,
    config: { Labels: labels },
    diffIds: [layer.diffId],
    history: ["x"],
    created: "2026-01-01T00:00:00Z",
  });
  const chunks: Uint8Array[] = [];
  const sink = { write: async (chunk: Uint8Array) => void chunks.push(chunk), close: async () => {} };
  const blob = join(scratch(), "blob");
  const layers = [blobFromFile(blob, await compressLayer(layer, compression, blob))];
  await writeArchive(sink, { config: content, layers, names: ["debug:one", "debug:two"] });
  const path = join(scratch(), "anything");
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

const isExported = (path: string) => isExportedArchive(path, statSync(path).size);
const own = { "melange2.build": "20260101-120000-abcdef" };

describe("an archive of a debug image", () => {
  test.each(["none", "gzip", "zstd"] as const)("with layers of compression %s is known by its content", async (how) => {
    expect(await isExported(await archive(own, how))).toBe(true);
  });

  test.each(["gzip", "zstd"])("that %s compressed as a whole is known", async (program) => {
    const path = await archive(own);
    execFileSync("sh", ["-c", `${program} -c <"$1" >"$1.packed"`, "sh", path]);
    expect(await isExported(`${path}.packed`)).toBe(true);
  });

  test("with its files in another order, as daemons write them, is known", async () => {
    const path = await archive(own);
    const folder = scratch();
    run("tar", "-xf", path, "-C", folder);
    run("tar", "-cf", `${path}.sorted`, "-C", folder, "--sort=name", "blobs", "index.json", "oci-layout");
    expect(await isExported(`${path}.sorted`)).toBe(true);
  });

  test("as a layout folder is known", async () => {
    const folder = scratch();
    run("tar", "-xf", await archive(own), "-C", folder);
    expect(await isExportedLayout(folder)).toBe(true);
  });

  test("is no source, wherever it lies", async () => {
    const source = plant(scratch(), { "deep/note": "x", "deep/layout/": "" });
    renameSync(await archive(own), join(source, "deep/picture.jpg"));
    run("tar", "-xf", await archive(own), "-C", join(source, "deep/layout"));
    const { files, leftOut } = await sourceFiles(source, [], signal);
    expect(files.map(({ path }) => path)).toEqual(["deep/note"]);
    expect(leftOut).toEqual([
      { path: "deep/layout", kind: "exported image" },
      { path: "deep/picture.jpg", kind: "exported image" },
    ]);
  });
});

describe("source stays what is no debug image:", () => {
  test("another image", async () => {
    expect(await isExported(await archive({ other: "label" }))).toBe(false);
  });

  test("a layout folder of another image", async () => {
    const source = plant(scratch(), { "layout/": "" });
    run("tar", "-xf", await archive({}), "-C", join(source, "layout"));
    const { files, leftOut } = await sourceFiles(source, [], signal);
    expect(files.map(({ path }) => path)).toContain("layout/oci-layout");
    expect(leftOut).toEqual([]);
  });

  test.each([
    ["a damaged archive", async () => (await archive(own)).concat(".cut"), "head -c 5000 <anything >anything.cut"],
    ["a tar of other files", async () => join(scratch(), "t"), "head -c 9000 /dev/zero >f; tar -cf t f"],
    ["a compressed tar of other files", async () => join(scratch(), "t"), "head -c 9000 /dev/urandom >f; tar -czf t f"],
    ["damaged gzip", async () => join(scratch(), "t"), "{ printf '\\037\\213\\010'; head -c 9000 /dev/urandom; } >t"],
    ["text", async () => join(scratch(), "t"), "yes | head -c 9000 >t"],
    ["nothing", async () => join(scratch(), "t"), ": >t"],
  ])("%s", async (_, place, make) => {
    const path = await place();
    execFileSync("sh", ["-c", make], { cwd: join(path, "..") });
    expect(await isExported(path)).toBe(false);
  });
});
