import { execFile } from "node:child_process";
import { lstat, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const call = promisify(execFile);

/** The image's config as skopeo reads it out of a debug archive; rejects where that is no image. */
export async function configOf(archive: string): Promise<{
  readonly config: { Env: string[]; WorkingDir: string; User?: string; Labels: Record<string, string> };
}> {
  const { stdout } = await call("skopeo", ["inspect", "--config", `oci-archive:${archive}`], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}

/** A debug archive unpacked by skopeo and umoci, which judge it on the way: neither is ours. */
export async function unpackedByOthers(archive: string): Promise<
  AsyncDisposable & {
    readonly root: string;
    exists(path: string): Promise<boolean>;
    text(path: string): Promise<string>;
    list(path: string): Promise<readonly string[]>;
  }
> {
  const scratch = await mkdtemp(join(tmpdir(), "melange2-judge-"));
  await call("skopeo", ["copy", "--quiet", `oci-archive:${archive}`, `oci:${scratch}/layout:image`]);
  await call("umoci", ["unpack", "--image", `${scratch}/layout:image`, `${scratch}/bundle`]);
  const root = join(scratch, "bundle", "rootfs");
  const at = (path: string) => join(root, path);
  return {
    root,
    exists: (path) =>
      lstat(at(path)).then(
        () => true,
        () => false,
      ),
    text: (path) => readFile(at(path), "utf8"),
    list: async (path) => (await readdir(at(path))).sort(),
    [Symbol.asyncDispose]: () => rm(scratch, { recursive: true, force: true }),
  };
}

/** The docker command line against one daemon; images that it loaded are removed at the end. */
export function docker(socket: string): AsyncDisposable & {
  load(archive: string): Promise<string>;
  run(image: string, argv: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  inspect(image: string): Promise<Record<string, unknown>>;
} {
  const loaded: string[] = [];
  const host = ["-H", `unix://${socket}`];
  return {
    async load(archive) {
      const { stdout } = await call("docker", [...host, "load", "-i", archive], { maxBuffer: 1 << 26 });
      const image = /Loaded image(?: ID)?: (\S+)/.exec(stdout)?.[1];
      if (!image) throw new Error(`docker load said: ${stdout}`);
      loaded.push(image);
      return image;
    },
    async run(image, argv) {
      const args = [...host, "run", "--rm", "--network", "none", image, ...argv];
      return call("docker", args, { maxBuffer: 1 << 26 }).then(
        ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
        (error: { code: number; stdout: string; stderr: string }) => error,
      );
    },
    async inspect(image) {
      const { stdout } = await call("docker", [...host, "image", "inspect", image]);
      return (JSON.parse(stdout) as Record<string, unknown>[])[0] ?? {};
    },
    async [Symbol.asyncDispose]() {
      for (const image of loaded) await call("docker", [...host, "rmi", "-f", image]).catch(() => {});
    },
  };
}
