import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cached, removeTree } from "./cache.ts";
import { locked } from "./lock.ts";
import { ensurePrograms } from "./programs.ts";
import { isRoot } from "./root.ts";
import { run } from "./run.ts";

export interface Debian {
  /** The release of this machine, such as `bookworm`. */
  codename: string;
  /** The mirror this machine's own apt uses. */
  mirror: string;
}

/** Part of every Debian. */
const archiveKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** What apt on this machine is set up with. An error where this is not a Debian with apt. */
export async function debian(): Promise<Debian> {
  const release = existsSync("/etc/os-release") ? await readFile("/etc/os-release", "utf8") : "";
  const codename = /^VERSION_CODENAME="?([a-z]+)/m.exec(release)?.[1];
  if (!/^ID="?debian"?$/m.test(release) || codename === undefined) throw new Error("this machine is not Debian");
  const targets = await run([
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)",
    "Created-By: Packages",
  ]);
  for (const line of targets.split("\n")) {
    const [mirror, release, component] = line.split("\t");
    if (mirror && (release === codename || release === "stable") && component === "main") {
      return { codename, mirror: mirror.replace(/\/$/, "") };
    }
  }
  throw new Error(`apt is set up without the main component of ${codename}`);
}

/** Runs apt-get in `cwd` with package lists of the cache folder's own, sources included: needs no root, leaves the machine's apt alone. */
async function privateApt(args: readonly string[], cwd: string): Promise<void> {
  const folder = await cached("apt-1", async (unfinished) => {
    const { mirror, codename } = await debian();
    await mkdir(join(unfinished, "lists/partial"), { recursive: true });
    await mkdir(join(unfinished, "cache/archives/partial"), { recursive: true });
    const source = `[signed-by=${archiveKeyring}] ${mirror} ${codename} main\n`;
    await writeFile(join(unfinished, "sources.list"), `deb ${source}deb-src ${source}`);
    await run(["apt-get", ...privateOptions(unfinished), "update"]);
  });
  await locked(join(folder, "lock"), () => run(["apt-get", ...privateOptions(folder), ...args], { cwd }));
}

const privateOptions = (folder: string): string[] =>
  [
    `Dir::Etc::sourcelist=${folder}/sources.list`,
    "Dir::Etc::sourceparts=-",
    `Dir::State::lists=${folder}/lists`,
    `Dir::Cache=${folder}/cache`,
    // Root's downloads would otherwise be handed to the user _apt, who may not enter the cache folder.
    "APT::Sandbox::User=",
  ].flatMap((option) => ["-o", option]);

/** A folder with the contents of a Debian package, unpacked and not installed: needs no root, starts nothing. */
export const unpackedPackage = (name: string): Promise<string> =>
  cached(`packages/${name}`, async (unfinished) => {
    const archive = await download(["download", name], `${unfinished}.deb`, /\.deb$/);
    await run(["dpkg-deb", "-x", archive, unfinished]);
    await removeTree(`${unfinished}.deb`);
  });

/** Downloads the upstream tarball of a Debian source package into `folder` and gives its path. */
export const sourceTarball = (name: string, folder: string): Promise<string> =>
  download(["source", "--download-only", name], folder, /\.orig\.tar\.[a-z0-9]+$/);

async function download(args: readonly string[], folder: string, wanted: RegExp): Promise<string> {
  await mkdir(folder, { recursive: true });
  await privateApt(args, folder);
  const file = (await readdir(folder)).find((name) => wanted.test(name));
  if (file === undefined) throw new Error(`apt-get ${args.join(" ")} brought no ${wanted} into ${folder}`);
  return join(folder, file);
}

export interface RootFilesystem {
  suite: string;
  variant: "apt" | "minbase";
  include: readonly string[];
  format: "directory" | "tar";
}

/** Makes the root filesystem of a Debian release at `target`. An error for an ordinary user. */
export async function bootstrap(target: string, options: RootFilesystem): Promise<void> {
  if (!isRoot()) throw new Error("a Debian root filesystem is made by root only");
  const { mirror } = await debian();
  await ensurePrograms(["mmdebstrap"]);
  await run([
    "mmdebstrap",
    `--format=${options.format}`,
    `--variant=${options.variant}`,
    `--include=${options.include.join(",")}`,
    // The release file of a mirror that lags behind would be refused as expired.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    options.suite,
    target,
    mirror,
  ]);
}
