import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { EngineContext, Finding } from "@melange2/core";
import { interrupted, packageOf } from "./foreign-errors.ts";
import { findTool, type Host, kernelVersion, readHost, readText, requiredTools, searchPath } from "./host.ts";
import { inNamespaces } from "./namespace.ts";
import { shellQuote } from "./shell-quote.ts";

/** What of the host matters to the engine, for {@link hostFindings}. */
export interface HostFacts {
  readonly platform: string;
  readonly kernel: readonly [number, number];
  readonly missingTools: readonly string[];
  /** Tools that are there, but of another make than GNU's. */
  readonly foreignTools: readonly string[];
  readonly root: boolean;
  readonly subordinateIds: boolean;
  readonly container: boolean;
  /** Contents of files under /proc/sys; empty where there is none. */
  readonly sysctl: {
    readonly unprivilegedUsernsClone: string;
    readonly maxUserNamespaces: string;
    readonly apparmorRestrictsUserns: string;
  };
  /** File system type of the state directory, as statfs tells it. */
  readonly fileSystem: number;
  /** What a trial of the real thing said; empty when it worked. */
  readonly trial: string;
}

const overlayfs = 0x794c7630;
const nfs = 0x6969;

const platformNames: Readonly<Record<string, string>> = { darwin: "macOS", win32: "Windows" };

/** Everything that is wrong, all at once. */
export function hostFindings(facts: HostFacts): readonly Finding[] {
  if (facts.platform !== "linux")
    return [
      error(
        `the embedded engine needs Linux, this is ${platformNames[facts.platform] ?? facts.platform}`,
        "Use the BuildKit engine with a Linux builder: --engine buildkit --buildkit-addr ADDRESS.",
      ),
    ];
  const findings: Finding[] = [];
  for (const tool of facts.missingTools)
    findings.push(error(`the program ${tool} is missing`, `Install ${packageOf(tool)}.`));
  for (const tool of facts.foreignTools)
    findings.push(error(`${tool} is not GNU ${tool}`, `Install ${packageOf(tool)} and put it first on PATH.`));
  if (facts.fileSystem === overlayfs)
    findings.push(
      error(
        "the state directory is on overlayfs, which cannot hold another overlay's changes",
        "Move it to a volume or a tmpfs: set MELANGE2_STATE_DIR.",
      ),
    );
  if (facts.fileSystem === nfs)
    findings.push(
      error(
        "the state directory is on NFS, which cannot hold an overlay's changes",
        "Move it to a local disk: set MELANGE2_STATE_DIR.",
      ),
    );
  if (facts.trial !== "") findings.push(trialFinding(facts));
  if (!facts.root && !facts.subordinateIds)
    findings.push({
      severity: "warning",
      message: "only one user id is mapped: every file belongs to root inside, chown and su fail there",
      hint: "Install uidmap (shadow-utils) and give this user a range in /etc/subuid and /etc/subgid.",
    });
  return findings;
}

/** What this process is short of, whoever runs it. */
const shortages: readonly (readonly [RegExp, string])[] = [
  [/EMFILE|ENFILE|too many open files/i, "Raise the limit of open files: ulimit -n."],
  [
    /EAGAIN|resource temporarily unavailable/i,
    "Raise the limit of processes: ulimit -u, or the control group's pids.max.",
  ],
  [/ENOMEM|cannot allocate memory/i, "Free some memory, or raise the control group's memory.max."],
  [/unshare.*no space left/i, "The kernel's limit of namespaces is reached: raise user.max_user_namespaces."],
];

/** Why the trial failed, the likeliest reason first. */
function trialFinding(facts: HostFacts): Finding {
  const { sysctl, trial } = facts;
  const said = trial.trim().split("\n").at(-1) ?? "";
  const shortage = shortages.find(([pattern]) => pattern.test(said));
  if (shortage !== undefined) return error(`a trial sandbox did not start: ${said}`, shortage[1]);
  if (facts.container)
    return error(
      `this container may not make sandboxes (${said})`,
      "Run it with --privileged, or with --security-opt seccomp=unconfined --security-opt systempaths=unconfined --security-opt apparmor=unconfined.",
    );
  if (!facts.root && sysctl.unprivilegedUsernsClone.trim() === "0")
    return error(
      "user namespaces are turned off for ordinary users",
      "As root: sysctl -w kernel.unprivileged_userns_clone=1, or run the build as root.",
    );
  if (!facts.root && sysctl.maxUserNamespaces.trim() === "0")
    return error("no user namespaces are allowed", "As root: sysctl -w user.max_user_namespaces=15000.");
  if (!facts.root && sysctl.apparmorRestrictsUserns.trim() === "1")
    return error(
      "AppArmor restricts user namespaces",
      "As root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or load a profile that allows userns for Node and unshare.",
    );
  if (!facts.root && (facts.kernel[0] < 5 || (facts.kernel[0] === 5 && facts.kernel[1] < 11)))
    return error(
      `kernel ${facts.kernel.join(".")} mounts no overlay in a user namespace`,
      "Use kernel 5.11 or later, or run the build as root.",
    );
  return error(
    `a trial sandbox did not start: ${said}`,
    "See whether unshare, mount and the overlay module work for this user.",
  );
}

function error(message: string, hint: string): Finding {
  return { severity: "error", message, hint };
}

/** Looks at this machine. Changes nothing: the trial's mounts are made in memory and vanish with its namespaces. */
export async function readHostFacts(context: EngineContext, signal: AbortSignal): Promise<HostFacts> {
  const path = searchPath(context.env);
  const linux = process.platform === "linux";
  const missingTools = linux ? requiredTools.filter((tool) => findTool(tool, path) === undefined) : [];
  const host = readHost(context.env);
  const usable = linux && missingTools.length === 0;
  const [foreignTools, trialError] = usable
    ? await Promise.all([notGnu(host, ["tar", "chroot", "cp"], signal), trial(host, signal)])
    : [[], ""];
  return {
    platform: process.platform,
    kernel: kernelVersion(),
    missingTools,
    foreignTools,
    root: host.mapping === "root",
    subordinateIds: host.mapping === "range",
    container: existsSync("/.dockerenv") || existsSync("/run/.containerenv"),
    sysctl: {
      unprivilegedUsernsClone: readText("/proc/sys/kernel/unprivileged_userns_clone"),
      maxUserNamespaces: readText("/proc/sys/user/max_user_namespaces"),
      apparmorRestrictsUserns: readText("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    },
    fileSystem: (await statfs(existingParent(context.stateDirectory))).type,
    trial: trialError,
  };
}

/** One shell asks them all: this is done before every build. */
async function notGnu(host: Host, tools: readonly ("tar" | "chroot" | "cp")[], signal: AbortSignal): Promise<string[]> {
  const text = 'for tool; do case $("$tool" --version 2>&1) in *GNU*) echo GNU ;; *) echo other ;; esac; done';
  const { stdout } = await said(host, ["/bin/sh", "-c", text, "sh", ...tools.map(host.tool)], signal);
  const makes = stdout.split("\n");
  return tools.filter((_, index) => makes[index] !== "GNU");
}

/** The namespaces, an overlay and the kernel's views, as a step would have them. */
async function trial(host: Host, signal: AbortSignal): Promise<string> {
  const mount = shellQuote(host.tool("mount"));
  const attributes = host.userxattr ? ",userxattr" : "";
  const text = [
    "set -e",
    `${mount} -n -t tmpfs none /tmp`,
    "cd /tmp",
    "mkdir -p lower/proc upper work root",
    `${mount} -n -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,volatile${attributes} none root`,
    `${mount} -n -t proc none root/proc`,
  ].join("\n");
  const argv = [...inNamespaces(host, { network: "host", full: true }), "/bin/sh", "-c", text];
  const { code, stderr } = await said(host, argv, signal);
  return code === 0 ? "" : stderr || `exit code ${code}`;
}

async function said(host: Host, argv: readonly string[], signal: AbortSignal) {
  const [program = "", ...rest] = argv;
  try {
    const { stdout, stderr } = await promisify(execFile)(program, rest, { env: host.helperEnv, signal });
    return { code: 0, stdout, stderr };
  } catch (failure) {
    if (signal.aborted) throw interrupted();
    const { code, stdout = "", stderr = "" } = failure as { code?: number; stdout?: string; stderr?: string };
    return { code: code ?? "?", stdout, stderr: stderr || String(failure) };
  }
}

function existingParent(path: string): string {
  return existsSync(path) ? path : existingParent(dirname(path));
}
