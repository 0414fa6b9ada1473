import { constants, existsSync } from "node:fs";
import { access, chmod, mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { cacheFolder } from "./cache.ts";

import { locked } from "./lock.ts";
import { isRoot } from "./root.ts";
import { run } from "./run.ts";

/** The programs that tests and services may ask for, with the Debian package that brings each. */
export const programPackages = {
  mmdebstrap: "mmdebstrap",
  newuidmap: "uidmap",
  openssl: "openssl",
  perl: "perl-base",
  podman: "podman",
  script: "bsdutils",
  skopeo: "skopeo",
  umoci: "umoci",
  xz: "xz-utils",
  zstd: "zstd",
} as const;

export type Program = keyof typeof programPackages;

/** The path of a program, or undefined when it is not on PATH. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, name);
    const runnable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== "" && runnable) return path;
  }
  return undefined;
}

/** Installs, as root on Debian, the packages of those programs that are lacking; an error where that cannot be done. */
export async function ensurePrograms(names: readonly Program[]): Promise<void> {
  const found = await Promise.all(names.map(findProgram));
  const lacking = names.filter((_, index) => found[index] === undefined);
  if (lacking.length === 0) return;
  const packages = lacking.map((name) => programPackages[name]);
  const advice = `lacking: ${lacking.join(", ")}; as root: apt-get install ${packages.join(" ")}`;
  if (!isRoot() || !existsSync("/usr/bin/apt-get")) throw new Error(advice);
  console.error(`installing for the tests: ${packages.join(" ")}`);
  await mkdir(cacheFolder(), { recursive: true });
  await locked(join(cacheFolder(), "install.lock"), () => installWithoutStarting(packages));
}

/**
 * Maintainer scripts ask policy-rc.d whether they may start a service. For this installation alone it says no: the answer is mounted in a
 * namespace of its own, and the placeholder that the mount needs where the machine has no such file says nothing (it is not executable).
 */
async function installWithoutStarting(packages: readonly string[]): Promise<void> {
  const policy = join(cacheFolder(), "policy-rc.d");
  await writeFile(policy, "#!/bin/sh\nexit 101\n");
  await chmod(policy, 0o755);
  const script = `
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then : >$policy; placeholder=yes; fi
    trap 'umount $policy; [ -z "\${placeholder:-}" ] || rm -f $policy' EXIT
    mount --bind "$1" $policy
    shift
    apt-get -qq update
    apt-get -qq install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" </dev/null`;
  const namespace = ["unshare", "--mount", "--propagation", "private"];
  await run([...namespace, "sh", "-euc", script, "sh", policy, ...packages], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
}
