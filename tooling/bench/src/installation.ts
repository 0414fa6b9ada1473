import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { installPackages } from "@melange2/environment";
import { type MadeFile, type MadePackage, makePackage } from "@melange2-tooling/fixtures/apk-packages";
import { run } from "@melange2-tooling/machine";
import { median } from "./samples.ts";

/** Ratios, medians of the rounds. */
export interface InstallationMeasurement {
  /** Installing 60 packages of 20,000 files and 205 MB into layers, against `tar xzf` of the same files in one archive. */
  readonly cold: number;
  /** The same again, nothing changed, against the same `tar xzf`. */
  readonly warm: number;
  /** With one of the packages changed, against the first installation. */
  readonly changed: number;
}

const packages = 60;
const filesOfAPackage = 333;

export async function measureInstallation(folder: string, rounds: number): Promise<InstallationMeasurement> {
  await mkdir(join(folder, "tree"), { recursive: true });
  const made: MadePackage[] = [];
  for (let number = 0; number < packages; number++) {
    const files = filesOf(number);
    made.push(makePackage({ name: `p${number}`, files }));
    for (const { name, type, content } of files)
      await (type === "directory"
        ? mkdir(join(folder, "tree", name), { recursive: true })
        : writeFile(join(folder, "tree", name), content ?? ""));
  }
  for (const { file, bytes } of made) await writeFile(join(folder, file), bytes);
  const other = makePackage({ name: "p7", version: "1.0-r1", files: filesOf(7) });
  await writeFile(join(folder, other.file), other.bytes);
  const archive = join(folder, "all.tar.gz");
  await run(["tar", "-C", join(folder, "tree"), "-czf", archive, "."]);

  const samples = { cold: [] as number[], warm: [] as number[], changed: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const out = join(folder, `out-${round}`);
    const cache = join(folder, `cache-${round}`);
    await mkdir(out);
    const tar = await timed(() => run(["tar", "-C", out, "-xzf", archive]));
    const cold = await timed(() => install(folder, made, cache));
    samples.cold.push(cold / tar);
    samples.warm.push((await timed(() => install(folder, made, cache))) / tar);
    const changed = made.map((one, index) => (index === 7 ? other : one));
    samples.changed.push((await timed(() => install(folder, changed, cache))) / cold);
    await Promise.all([out, cache].map((path) => rm(path, { recursive: true })));
  }
  return { cold: median(samples.cold), warm: median(samples.warm), changed: median(samples.changed) };
}

/** Text that halves when it is compressed, as programs do about. */
function filesOf(number: number): readonly MadeFile[] {
  const folders = ["usr", "usr/share", `usr/share/p${number}`].map((name) => ({ name, type: "directory" as const }));
  const files = Array.from({ length: filesOfAPackage }, (_, index) => {
    const half = randomBytes(3840).toString("base64");
    return { name: `usr/share/p${number}/f${index}`, content: half + half };
  });
  return [...folders, ...files];
}

async function install(folder: string, made: readonly MadePackage[], cacheDirectory: string): Promise<void> {
  await installPackages({
    packages: made.map(({ file, checksum }) => ({ path: join(folder, file), what: file, checksum })),
    base: { platform: { os: "linux", architecture: "amd64" }, config: {}, layers: [] },
    world: [],
    repositories: [],
    keys: [],
    arch: "x86_64",
    sourceDateEpoch: 0,
    cacheDirectory,
    signal: new AbortController().signal,
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
