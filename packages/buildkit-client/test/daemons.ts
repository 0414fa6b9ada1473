import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoryTree, type Served } from "../src/index.ts";
import { copyOf, type Node, source } from "./graph.ts";

/** A real daemon that a test may talk to. */
export interface TestDaemon {
  readonly name: string;
  /** undefined: not there, for the reason that `skip` gives. */
  readonly address: string | undefined;
  readonly skip: string;
  /** Has all that a buildkitd of today has. */
  readonly current: boolean;
}

const busyboxRoot = process.env.MELANGE2_TEST_BUSYBOX_DIR;
const busybox = busyboxRoot === undefined ? "/usr/bin/busybox" : join(busyboxRoot, "bin/busybox");

function daemon(name: string, variable: string, current: boolean, prefix: string): TestDaemon {
  const value = process.env[variable];
  const missing = existsSync(busybox) ? (value === undefined ? `${variable} is not set` : "") : `${busybox} is missing`;
  return { name, address: missing === "" ? `${prefix}${value}` : undefined, skip: missing, current };
}

export const buildkitd = daemon("buildkitd", "MELANGE2_TEST_BUILDKIT", true, "");
export const daemons: readonly TestDaemon[] = [
  buildkitd,
  daemon("dockerd 20.10", "MELANGE2_TEST_DOCKER20", false, "docker://"),
  daemon("dockerd 28", "MELANGE2_TEST_DOCKER28", false, "docker://"),
];

/** A directory with a shell in it, and the graph of a root made of it. */
export function createRoot(): { directory: string; node: Node; serve: Served; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), "melange2-buildkit-root-"));
  mkdirSync(join(directory, "bin"));
  copyFileSync(busybox, join(directory, "bin/busybox"));
  for (const applet of ["cat", "echo", "ln", "mkdir", "sh", "sleep", "true"]) {
    symlinkSync("busybox", join(directory, "bin", applet));
  }
  return {
    directory,
    node: copyOf(source("local://root", { "local.sharedkeyhint": "buildkit-client-test" })),
    serve: { trees: { root: directoryTree(directory) } },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Keeps what one run of a test makes from being found by the next. */
export function nonce(): string {
  return `${process.pid}-${process.hrtime.bigint()}`;
}
