import { chmodSync, chownSync, closeSync, constants, existsSync, lstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { deviceNames } from "./device-directory.ts";
import type { Host } from "./host.ts";
import { runJob } from "./jobs.ts";
import { shellQuote } from "./shell-quote.ts";

/** Major and minor numbers, as every Linux has them. */
const numbers: Readonly<Record<(typeof deviceNames)[number], string>> = {
  null: "1 3",
  zero: "1 5",
  full: "1 7",
  random: "1 8",
  urandom: "1 9",
  tty: "5 0",
};

/** The devices that the sandboxes of one session have in their /dev. */
export interface DeviceNodes {
  /**
   * A folder with nodes of the session's own, each with its usual mode and owner again, whatever a step made of it. undefined where none can
   * be made: in a user namespace, in a container without CAP_MKNOD, on a file system that is mounted `nodev`.
   */
  folder(signal: AbortSignal): Promise<string | undefined>;
}

/**
 * Nodes of this session, so that a step's chmod or chown never reaches the host's own. They are copies of nodes that were made once, below
 * `template`, and that no sandbox ever sees.
 */
export function deviceNodes(host: Host, template: string, folder: string): DeviceNodes {
  let made: Promise<boolean> | undefined;
  return {
    async folder(signal) {
      if (host.mapping !== "root" || host.userxattr) return undefined;
      made ??= makeNodes(host, template, folder, signal);
      if (!(await made)) return undefined;
      for (const name of deviceNames) {
        chmodSync(join(folder, name), 0o666);
        chownSync(join(folder, name), 0, 0);
      }
      return folder;
    },
  };
}

async function makeNodes(host: Host, template: string, folder: string, signal: AbortSignal): Promise<boolean> {
  const unfinished = `${folder}.new`;
  const make = deviceNames.map((name) => `${shellQuote(host.tool("mknod"))} -m 666 "$1/${name}" c ${numbers[name]}`);
  const text = existsSync(template)
    ? `exec ${shellQuote(host.tool("cp"))} -a -- "$2" "$3"`
    : `mkdir -m 700 "$1" && ${make.join(" && ")} && ${shellQuote(host.tool("cp"))} -a -- "$1" "$3" && { mv -T -- "$1" "$2" || rm -rf -- "$1"; }`;
  const argv = ["/bin/sh", "-c", text, "sh", unfinished, template, folder];
  const done = await runJob(host, argv, { doing: "making device nodes", signal }).then(
    () => true,
    () => false,
  );
  if (signal.aborted || !done) return false;
  return (
    deviceNames.every((name) => lstatSync(join(folder, name), { throwIfNoEntry: false })?.isCharacterDevice()) &&
    usable(join(folder, "null"))
  );
}

/** False where the file system is mounted `nodev`: its nodes cannot be opened. */
function usable(node: string): boolean {
  try {
    closeSync(openSync(node, constants.O_WRONLY));
    return true;
  } catch {
    return false;
  }
}
