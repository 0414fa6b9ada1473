import { create } from "@bufbuild/protobuf";
import { someText, text, variable, whole } from "./check.ts";
import { LlbError } from "./error.ts";
import { ExecOpSchema, NetMode, SecurityMode } from "./gen/ops_pb.ts";
import { type BindMount, isResult, type Mount, marshalMount, mountCapabilities, orderMounts } from "./mount.ts";
import { absolutePath } from "./path.ts";
import { type State, scratch } from "./state.ts";
import { createInputs, createVertex, type Platform, type VertexOptions } from "./vertex.ts";

export interface ExecOptions extends VertexOptions {
  /** The program and its arguments; no shell is added. */
  readonly args: readonly string[];
  /** The environment, in this order. A current daemon adds a default PATH and variables of its own tracing. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute; made if it is missing. `/` by default. */
  readonly cwd?: string;
  /** `name`, `uid` or `uid:gid`; root by default. */
  readonly user?: string;
  readonly mounts?: readonly Mount[];
  /** Secrets as environment variables. Needs daemon 0.10. */
  readonly secretEnv?: readonly SecretEnv[];
  /** True: the root cannot be written, and {@link Execution.root} is the state it started from. */
  readonly readonlyRoot?: boolean;
  /** sandbox: the daemon's default; host needs the entitlement `network.host`; none: loopback only. */
  readonly network?: "sandbox" | "host" | "none";
  /** insecure needs the entitlement `security.insecure`. */
  readonly security?: "sandbox" | "insecure";
  /** Exit codes that count as success; 0 alone by default. Needs daemon 0.17. */
  readonly validExitCodes?: readonly number[];
  readonly platform?: Platform;
}

export interface SecretEnv {
  /** The variable. */
  readonly name: string;
  /** What the session is asked for. */
  readonly id: string;
  readonly optional?: boolean;
}

/** What one run of a program leaves. */
export interface Execution {
  readonly root: State;
  /** The state of a writable bind mount afterwards; throws an LlbError for any other target. */
  mount(target: string): State;
}

/** One program run on `root`, which itself never changes. */
export function exec(root: State, options: ExecOptions): Execution {
  const [program, ...rest] = options.args;
  if (program === undefined) {
    throw new LlbError("exec", "there is no program to run", "Give args, the program first.");
  }
  const rootMount: BindMount = {
    type: "bind",
    target: "/",
    from: root,
    ...(options.readonlyRoot === undefined ? {} : { readonly: options.readonlyRoot }),
  };
  const mounts = orderMounts(rootMount, options.mounts ?? []);
  const results = mounts.filter(isResult).map((mount) => mount.target);
  if (results.length === 0) {
    throw new LlbError("exec", "nothing that it does is kept", "Bind scratch somewhere, or leave the root writable.");
  }
  const inputs = createInputs();
  const network = options.network ?? "sandbox";
  const security = options.security ?? "sandbox";
  const op = create(ExecOpSchema, {
    meta: {
      args: [someText("exec, args", program), ...rest.map((word) => text("exec, args", word))],
      env: Object.entries(options.env ?? {}).map(
        ([name, value]) => `${variable("exec, env", name)}=${text(`exec, env ${name}`, value)}`,
      ),
      cwd: absolutePath("exec, cwd", options.cwd ?? "/"),
      user: text("exec, user", options.user ?? ""),
      removeMountStubsRecursive: true,
      validExitCodes: (options.validExitCodes ?? []).map((code) => whole("exec, validExitCodes", code, 0, 255)),
    },
    mounts: mounts.map((mount) => marshalMount(mount, inputs.index, results.indexOf(mount.target))),
    network: networkModes[network],
    security: security === "insecure" ? SecurityMode.INSECURE : SecurityMode.SANDBOX,
    secretenv: (options.secretEnv ?? []).map(({ name, id, optional }) => ({
      name: variable("exec, secretEnv", name),
      ID: someText(`exec, secretEnv ${name}, id`, id),
      optional: optional ?? false,
    })),
  });
  const platform = options.platform === undefined ? root.platform : { ...options.platform };
  const vertex = createVertex({
    op: { case: "exec", value: op },
    inputs: inputs.list,
    platform,
    options,
    capabilities: [
      "exec.meta.base",
      ...(network === "sandbox" ? [] : ["exec.meta.network"]),
      ...(security === "sandbox" ? [] : ["exec.meta.security"]),
      ...((options.validExitCodes ?? []).length === 0 ? [] : ["exec.validexitcode"]),
      ...((options.secretEnv ?? []).length === 0 ? [] : ["exec.secretenv"]),
      ...mounts.filter((mount) => mount.type !== "bind" || mount.from !== scratch).flatMap(mountCapabilities),
    ],
  });
  const result = (target: string): State => {
    const output = results.indexOf(absolutePath("exec", target));
    if (output === -1) {
      throw new LlbError("exec", `${target} is not one of its results`, `Results are ${results.join(", ")}.`);
    }
    return { vertex, output, platform };
  };
  return { root: options.readonlyRoot === true ? root : result("/"), mount: result };
}

const networkModes = { sandbox: NetMode.UNSET, host: NetMode.HOST, none: NetMode.NONE } as const;
