import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { buildkitParts } from "./buildkit.ts";
import { startDaemon } from "./daemon.ts";
import type { Started } from "./provision.ts";

/** Of a user namespace: as many ids as images have. */
const map = "0 0 65536";

/** Maps the ids of process 1, from outside, as soon as it is in a user namespace of its own. */
const mapIds = `(until echo ${map} >/proc/1/uid_map; do sleep 0.05; done; echo ${map} >/proc/1/gid_map) 2>/dev/null &`;
const enter = `mount -t proc proc /proc; mount -t tmpfs tmpfs /run; ${mapIds}
exec unshare --user --mount sh -euc 'until [ "$(id -u)$(id -g)" = 00 ]; do sleep 0.05; done; exec "$@"' sh "$@"`;

/** buildkitd as it runs in an unprivileged container: as the root of a user namespace, and with steps among its own processes. */
export async function startRootlessBuildkit(folder: string): Promise<Started> {
  const { buildkitd, buildctl, path } = await buildkitParts();
  const address = `unix://${join(folder, "buildkitd.sock")}`;
  for (const part of ["root", "tmp", "run", "home"]) await mkdir(join(folder, part), { recursive: true });
  const argv = [
    ...[buildkitd, "--config", "/dev/null", "--root", join(folder, "root"), "--addr", address],
    ...["--containerd-worker=false", "--oci-worker-net", "host", "--oci-worker-snapshotter", "native"],
    ...["--rootless", "--oci-worker-no-process-sandbox"],
  ];
  const daemon = await startDaemon({
    name: "buildkitd",
    folder,
    namespaces: true,
    argv: ["sh", "-euc", enter, "sh", ...argv],
    env: { PATH: path, TMPDIR: join(folder, "tmp"), XDG_RUNTIME_DIR: join(folder, "run"), HOME: join(folder, "home") },
    ready: () => buildctl(address, "debug", "workers"),
  });
  return { env: { MELANGE2_TEST_BUILDKIT_ROOTLESS: address }, stop: daemon.stop };
}
