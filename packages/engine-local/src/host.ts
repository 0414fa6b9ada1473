import { accessSync, constants, readFileSync } from "node:fs";
import { release, userInfo } from "node:os";
import { delimiter, join } from "node:path";
import { missingTool } from "./foreign-errors.ts";

/**
 * How user ids inside the sandbox relate to the host's: `root` is the host's own root; `range` maps root to the user and a
 * range from /etc/subuid above it; `single` maps root to the user and nothing else, so every file belongs to root inside.
 */
export type Mapping = "root" | "range" | "single";

export const isMapping = (word: unknown): word is Mapping => word === "root" || word === "range" || word === "single";

export const requiredTools = [
  "setpriv",
  "unshare",
  "setsid",
  "mount",
  "chroot",
  "env",
  "cp",
  "tar",
  "flock",
  "mkfifo",
  "rm",
  "du",
  "chown",
  "sleep",
  "cat",
  "mknod",
  "nsenter",
  "readlink",
] as const;
export type Tool = (typeof requiredTools)[number] | "ip" | "newuidmap" | "newgidmap" | "busybox" | "capsh" | "script";

/** What a session must know of the machine, read once. */
export interface Host {
  readonly mapping: Mapping;
  /** The overlay's own marks are `user.overlay.*` (mounted inside a user namespace) instead of `trusted.overlay.*`. */
  readonly userxattr: boolean;
  /** The whole environment of every helper process; a step's variables never reach one. */
  readonly helperEnv: Readonly<Record<string, string>>;
  /** Absolute path of a tool. Raises `engine` where it is missing. */
  tool(name: Tool): string;
  /** Absolute path of a tool that can be done without; undefined where it is missing. */
  findTool(name: Tool): string | undefined;
}

export function readHost(env: Readonly<Record<string, string | undefined>>): Host {
  const path = searchPath(env);
  const found = new Map<Tool, string | undefined>();
  const lookUp = (name: Tool): string | undefined => {
    if (!found.has(name)) found.set(name, findTool(name, path));
    return found.get(name);
  };
  return {
    mapping: mappingOf(path),
    userxattr: process.getuid?.() !== 0 || !ownsAllIds(),
    helperEnv: { PATH: path, LC_ALL: "C", LIBMOUNT_FORCE_MOUNT2: "always" },
    tool(name) {
      const known = lookUp(name);
      if (known === undefined) throw missingTool(name);
      return known;
    },
    findTool: lookUp,
  };
}

/** The user's PATH and the system folders that an ordinary user's PATH lacks. */
export function searchPath(env: Readonly<Record<string, string | undefined>>): string {
  const system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  const own = (env.PATH ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
  return [...new Set([...own, ...system])].join(delimiter);
}

export function findTool(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function mappingOf(path: string): Mapping {
  if (process.getuid?.() === 0) return "root";
  const helpers = findTool("newuidmap", path) !== undefined && findTool("newgidmap", path) !== undefined;
  return helpers && hasRange("/etc/subuid") && hasRange("/etc/subgid") ? "range" : "single";
}

/** Whether /etc/subuid or /etc/subgid grants this user a range; they name users by name or by number. */
function hasRange(file: string): boolean {
  const { username, uid } = userInfo();
  return readText(file)
    .split("\n")
    .map((line) => line.split(":"))
    .some(([owner, , count]) => (owner === username || owner === String(uid)) && Number(count) > 0);
}

/** False inside somebody's user namespace, where root is not the machine's root. */
function ownsAllIds(): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(readText("/proc/self/uid_map"));
}

/** `5.15` of `5.15.0-91-generic`, as numbers. */
export function kernelVersion(text: string = release()): readonly [number, number] {
  const [major, minor] = text.split(".").map((part) => Number.parseInt(part, 10));
  return [major ?? 0, minor ?? 0];
}

/** The file's text; empty where it cannot be read. */
export function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
