// Proves every public package as it would be shipped; --update takes new snapshots of the public surfaces.
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkAsConsumer } from "./consumer.ts";
import { checkManifest } from "./manifest.ts";
import { packAll } from "./pack.ts";
import { checkPack } from "./pack-contents.ts";
import { publicPackages } from "./packages.ts";
import { checkSurface } from "./snapshots.ts";

const update = process.argv.includes("--update");
const packages = publicPackages();
let failures = 0;
const report = (name: string, problems: readonly string[]): void => {
  failures += problems.length;
  console.log(`${problems.length === 0 ? "ok  " : "FAIL"} ${name}`);
  for (const problem of problems) console.log(problem.replace(/^/gm, "     "));
};

const folder = await realpath(await mkdtemp(join(tmpdir(), "melange2-publish-")));
try {
  const packs = await packAll(packages, folder);
  for (const pack of packs) {
    const { manifest } = pack.package;
    report(manifest.name, [
      ...checkManifest(manifest),
      ...(await checkPack(pack)),
      ...checkSurface(pack.package, update),
    ]);
  }
  report("a consumer of all packs", await checkAsConsumer(packs, folder));
} finally {
  await rm(folder, { recursive: true });
}
console.log(`check:publish: ${packages.length} packages, ${failures} problems`);
process.exitCode = failures === 0 ? 0 : 1;
