import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, ConnectError } from "@connectrpc/connect";
import { BuildkitError } from "./error.ts";
import {
  type ExecMessageSchema,
  type ExitMessage,
  type LLBBridge,
  type MountSchema,
  MountType,
  NetMode,
} from "./gen/gateway_pb.ts";
import type { CallOptions, GatewayCall, Reference } from "./job.ts";
import { createQueue } from "./queue.ts";

export interface ContainerOptions extends CallOptions {
  /** What is at `/`. */
  readonly root: Reference;
  readonly mounts?: readonly ContainerMount[];
  /** sandbox, the default: as the daemon has it for builds; none: loopback only. */
  readonly network?: "sandbox" | "host" | "none";
}

/** Something that processes see besides the root. `target` is absolute; a `selector` is the path in `from` that is mounted. */
export type ContainerMount =
  | {
      /** A copy of a result, or with `readonly` the result itself. */
      readonly type: "bind";
      readonly target: string;
      readonly from: Reference;
      readonly selector?: string;
      readonly readonly?: boolean;
    }
  | {
      /** A cache mount of the daemon, the one that execs with this id have. */
      readonly type: "cache";
      readonly target: string;
      readonly id: string;
      readonly from?: Reference;
      readonly selector?: string;
    };

/** Owned by the caller; disposing of it ends its processes and forgets what they changed. */
export interface Container extends AsyncDisposable {
  /**
   * Runs a process to its end and gives its exit code, 128 + n for a signal. The first is process 1 of the container: the others end with
   * it. Aborting `signal` leaves it behind; disposing of the container ends it. Rejects with a BuildkitError where it cannot be started.
   */
  run(process: ContainerProcess): Promise<number>;
}

export interface ContainerProcess extends CallOptions {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute; made where it is missing. Default: `/`. */
  readonly cwd?: string;
  /** `uid:gid`, or a name of the root's own. Default: root. */
  readonly user?: string;
  /**
   * Read until the process ends, and left open and paused then. None: the process reads nothing. Without a terminal, older daemons (Docker's
   * of 20.10) tell of the end of a process only when its input has ended, too.
   */
  readonly stdin?: Readable;
  /** With a terminal all output is `stdout`. What it returns is waited for before more is taken. */
  readonly onOutput: (stream: "stdout" | "stderr", data: Uint8Array) => void | Promise<void>;
  readonly terminal?: ContainerTerminal;
}

export interface ContainerTerminal {
  readonly size: TerminalSize;
  /** Calls `listener` on each change of size, until what is returned is called. */
  readonly onResize: (listener: (size: TerminalSize) => void) => () => void;
}

/** In characters. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

const descriptors = { stdin: 0, stdout: 1, stderr: 2 } as const;
const networks = { sandbox: NetMode.UNSET, host: NetMode.HOST, none: NetMode.NONE } as const;
/** What a daemon tells as the exit code of a process that it could not run, or lost. */
const unknownCode = 255;

export async function openContainer(
  bridge: Client<typeof LLBBridge>,
  call: GatewayCall,
  { root, mounts = [], network = "sandbox", signal }: ContainerOptions,
): Promise<Container> {
  // Letters and digits are all that it may have.
  const ContainerID = randomUUID().replaceAll("-", "");
  const Mounts = [mountOf({ type: "bind", target: "/", from: root }), ...mounts.map(mountOf)];
  await call("open a container", signal, (options) =>
    bridge.newContainer({ ContainerID, Mounts, Network: networks[network] }, options),
  );
  return {
    run: (process) =>
      call(`run ${process.args[0]}`, process.signal, (options) => {
        const input = createQueue<ExecInput>();
        return runProcess(bridge.execProcess(input, options), input, ContainerID, process);
      }),
    async [Symbol.asyncDispose]() {
      // The daemon lets go of it with the job at the latest.
      await call("close a container", undefined, (options) => bridge.releaseContainer({ ContainerID }, options)).catch(
        () => {},
      );
    },
  };
}

type ExecInput = MessageInitShape<typeof ExecMessageSchema>;
type Output = ReturnType<Client<typeof LLBBridge>["execProcess"]>;

async function runProcess(
  output: Output,
  input: ReturnType<typeof createQueue<ExecInput>>,
  ContainerID: string,
  process: ContainerProcess,
): Promise<number> {
  const { args, env = {}, cwd = "/", user = "", stdin, onOutput, terminal } = process;
  const send = (Input: NonNullable<ExecInput["Input"]>) => input.push({ ProcessID: "1", Input });
  const resize = ({ rows, columns }: TerminalSize) =>
    void send({ case: "Resize", value: { Rows: rows, Cols: columns } });
  const used = (stream: keyof typeof descriptors) =>
    stream === "stdin" ? stdin !== undefined : stream === "stdout" || terminal === undefined;
  void send({
    case: "Init",
    value: {
      ContainerID,
      Meta: { args: [...args], env: Object.entries(env).map(([name, value]) => `${name}=${value}`), cwd, user },
      Fds: (["stdin", "stdout", "stderr"] as const).filter(used).map((stream) => descriptors[stream]),
      Tty: terminal !== undefined,
    },
  });
  let inputOpen = stdin !== undefined;
  const endInput = () => {
    if (inputOpen) void send({ case: "File", value: { Fd: descriptors.stdin, EOF: true } });
    inputOpen = false;
  };
  const endings: (() => void)[] = [];
  let code: number | undefined;
  try {
    for await (const { Input } of output) {
      if (Input.case === "Started") {
        if (terminal !== undefined) {
          resize(terminal.size);
          endings.push(terminal.onResize(resize));
        }
        const give = (Data: Uint8Array) => send({ case: "File", value: { Fd: descriptors.stdin, Data } });
        if (stdin !== undefined) endings.push(feed(stdin, give, endInput));
      } else if (Input.case === "File") {
        if (Input.value.Data.length > 0) {
          await onOutput(Input.value.Fd === descriptors.stderr ? "stderr" : "stdout", Input.value.Data);
        }
      } else if (Input.case === "Exit") {
        // Output may still follow, where there was a process; and then the daemon waits for the end of its input.
        code = codeOf(Input.value);
        endInput();
      } else if (Input.case === "Done") {
        input.end();
      }
    }
  } catch (error) {
    // A daemon fails over input that a process has not read, after it has told all of how that ended.
    if (code === undefined || !ConnectError.from(error).isWireError) throw error;
  } finally {
    for (const end of endings) end();
    input.end();
  }
  if (code === undefined) throw notRun("the daemon did not tell how it ended");
  return code;
}

/** Hands on what comes, one piece after another, until what is returned is called. */
function feed(stdin: Readable, give: (data: Uint8Array) => Promise<void>, end: () => void): () => void {
  const onData = (data: Buffer) => {
    stdin.pause();
    void give(data).then(() => {
      if (stdin.listeners("data").includes(onData)) stdin.resume();
    });
  };
  if (stdin.readableEnded || stdin.destroyed) end();
  // An error is told as the end, and so is a close: the process must not wait for what never comes.
  const endings = ["end", "error", "close"] as const;
  for (const ending of endings) stdin.on(ending, end);
  stdin.on("data", onData);
  return () => {
    for (const ending of endings) stdin.off(ending, end);
    stdin.off("data", onData).pause();
  };
}

function codeOf({ Code, Error: error }: ExitMessage): number {
  const reason = error?.message ?? "";
  if (Code === unknownCode && !/exit code: 255\b/.test(reason)) throw notRun(reason);
  return Code;
}

function notRun(reason: string): BuildkitError {
  return new BuildkitError("request", `running a process: ${reason}`, {
    hint: "Check that the program and the user are there.",
  });
}

function mountOf(mount: ContainerMount): MessageInitShape<typeof MountSchema> {
  const common = { dest: mount.target, selector: mount.selector ?? "", resultID: mount.from?.id ?? "" };
  if (mount.type === "bind") return { ...common, mountType: MountType.BIND, readonly: mount.readonly ?? false };
  return { ...common, mountType: MountType.CACHE, cacheOpt: { ID: mount.id } };
}
