import { mkdir } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { isRoot, run, unpackedPackage } from "@melange2-tooling/machine";
import { createAuthority } from "./certificates.ts";
import { startDaemon } from "./daemon.ts";
import { freePort } from "./free-port.ts";
import { goPrograms } from "./go-program.ts";
import type { Started } from "./provision.ts";

const moduleFolder = resolve(import.meta.dirname, "../buildkit");
const commands = ["buildkitd", "buildctl"].map((name) => `github.com/moby/buildkit/cmd/${name}`);

/** What every buildkitd here takes. Rejects where it cannot run. */
export async function buildkitParts() {
  if (!isRoot()) throw new Error("buildkitd needs root");
  const bin = await goPrograms("buildkit-0.32.2", moduleFolder, commands);
  const runc = join(await unpackedPackage("runc"), "usr/sbin");
  const program = join(bin, "buildctl");
  return {
    buildkitd: join(bin, "buildkitd"),
    program,
    /** Whether buildctl could do it. */
    buildctl: (address: string, ...words: readonly string[]): Promise<boolean> =>
      run([program, "--addr", address, ...words]).then(
        () => true,
        () => false,
      ),
    /** Without a runc on PATH a daemon has no worker, whatever --oci-worker-binary names. */
    path: [runc, process.env.PATH].join(delimiter),
  };
}

/**
 * buildkitd with its runc worker, on a unix socket and, with certificates on both sides, on a TCP port. `megabytes`: all that it may keep, in
 * memory then; without it, as much as the disk has.
 */
export async function startBuildkit(folder: string, { megabytes }: { megabytes?: number } = {}): Promise<Started> {
  const { buildkitd, buildctl, program, path } = await buildkitParts();
  const authority = await createAuthority(join(folder, "certificates"));
  const server = await authority.issue("buildkitd");
  const client = await authority.issue("client");
  const socket = `unix://${join(folder, "buildkitd.sock")}`;
  const tcp = `tcp://127.0.0.1:${await freePort()}`;
  for (const part of ["root", "tmp"]) await mkdir(join(folder, part), { recursive: true });
  const argv = [
    buildkitd,
    ...["--config", "/dev/null", "--root", join(folder, "root")],
    ...["--addr", socket, "--addr", tcp],
    ...["--tlscacert", authority.certificate, "--tlscert", server.certificate, "--tlskey", server.key],
    ...["--containerd-worker=false", "--oci-worker-net", "host"],
  ];
  const small = megabytes === undefined ? "" : `mount -t tmpfs -o size=${megabytes}m tmpfs '${join(folder, "root")}';`;
  const enter = `mount -t proc proc /proc; mount -t tmpfs tmpfs /run; ${small} exec "$@"`;
  const daemon = await startDaemon({
    name: "buildkitd",
    folder,
    namespaces: true,
    argv: ["sh", "-euc", enter, "sh", ...argv],
    env: { PATH: path, TMPDIR: join(folder, "tmp") },
    ready: () => buildctl(socket, "debug", "workers"),
  });
  const env = {
    MELANGE2_TEST_BUILDKIT: socket,
    MELANGE2_TEST_BUILDCTL: program,
    MELANGE2_TEST_BUILDKIT_TCP: tcp,
    MELANGE2_TEST_BUILDKIT_TLS_CA: authority.certificate,
    MELANGE2_TEST_BUILDKIT_TLS_CERT: client.certificate,
    MELANGE2_TEST_BUILDKIT_TLS_KEY: client.key,
  };
  return { env, stop: daemon.stop };
}
