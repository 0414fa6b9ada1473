import { capabilityNames, type Step } from "@melange2/core";
import { readText } from "./host.ts";

/** What a step may do as root unless its recipe says otherwise: the usual set of containers. Names as setpriv spells them. */
const usual = [
  "chown",
  "dac_override",
  "fowner",
  "fsetid",
  "kill",
  "setgid",
  "setuid",
  "setpcap",
  "net_bind_service",
  "net_raw",
  "sys_chroot",
  "mknod",
  "audit_write",
  "setfcap",
] as const;

export interface Bounding {
  /** The argument of setpriv --bounding-set. */
  readonly set: string;
  /**
   * Some capability would reach the host if it were held in the sandbox's own user namespace (unmounting the root, tracing
   * process 1, loading modules): the step runs in one more user namespace, where it counts against the sandbox alone.
   */
  readonly nested: boolean;
  /** The capabilities that the command does not have, named as setpriv spells them. */
  readonly dropped: readonly string[];
  /** Whether one of them is needed to enter the environment: to change the root, the user or the groups. */
  readonly takesEntry: boolean;
}

const forEntry = ["sys_chroot", "setuid", "setgid"];

export function boundingSet(capabilities: Step["capabilities"]): Bounding {
  const drop = new Set(capabilities.drop.map(plainName));
  const asked = capabilities.add.map(plainName).filter((name) => !drop.has(name) && !isUsual(name));
  const kept = drop.has("all") ? [] : usual.filter((name) => !drop.has(name));
  const everything = asked.includes("all");
  const names = [
    ...kept,
    ...capabilities.add.map(plainName).filter((name) => isUsual(name) && !drop.has(name)),
    ...asked,
  ];
  const has = (name: string) => (everything ? !drop.has(name) : names.includes(name));
  const dropped = knownHere().filter((name) => !has(name));
  return {
    set: everything
      ? ["+all", ...[...drop].map((name) => `-${name}`)].join(",")
      : ["-all", ...[...new Set(names)].map((name) => `+${name}`)].join(","),
    nested: asked.length > 0,
    dropped,
    takesEntry: forEntry.some((name) => dropped.includes(name)),
  };
}

/** Those that this kernel has. */
function knownHere(): readonly string[] {
  const last = Number.parseInt(readText("/proc/sys/kernel/cap_last_cap"), 10);
  const names = capabilityNames.map(plainName);
  return Number.isNaN(last) ? names : names.slice(0, last + 1);
}

function isUsual(name: string): boolean {
  return (usual as readonly string[]).includes(name);
}

/** `CAP_SYS_PTRACE`, `sys_ptrace` → `sys_ptrace`. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/^cap_/, "");
}
