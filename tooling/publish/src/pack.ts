import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { repositoryRoot, run } from "@melange2-tooling/machine";
import type { PublicPackage } from "./packages.ts";

export interface Pack {
  package: PublicPackage;
  /** The .tgz as it would be published. */
  tarball: string;
  /** Its contents, below a node_modules folder of which all packs are part. */
  unpacked: string;
}

/** Packs the packages as publishing would, below `folder`. They must have been built. */
export async function packAll(packages: readonly PublicPackage[], folder: string): Promise<Pack[]> {
  const tarballs = join(folder, "tarballs");
  await mkdir(tarballs, { recursive: true });
  const { packageManager } = JSON.parse(await readFile(join(repositoryRoot, "package.json"), "utf8"));
  const chosen = packages.flatMap(({ manifest }) => ["--filter", manifest.name]);
  const pnpm = ["npx", "--yes", packageManager as string, "--recursive", ...chosen];
  await run([...pnpm, "pack", "--pack-destination", tarballs], { cwd: repositoryRoot });
  const made = await readdir(tarballs);
  return Promise.all(
    packages.map(async (each) => {
      const { name, version } = each.manifest;
      const file = `${name.replace("@", "").replace("/", "-")}-${version}.tgz`;
      if (!made.includes(file)) throw new Error(`pnpm pack made no ${file}`);
      const tarball = join(tarballs, file);
      const unpacked = join(folder, "node_modules", name);
      await mkdir(unpacked, { recursive: true });
      await run(["tar", "-xzf", tarball, "-C", unpacked, "--strip-components=1"]);
      return { package: each, tarball, unpacked };
    }),
  );
}
