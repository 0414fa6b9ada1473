import { spawn } from "node:child_process";
import { MelangeError } from "@melange2/core";
import type { Bytes } from "@melange2/oci";

export interface ChildCommand {
  readonly argv: readonly string[];
  /** For messages: "unpacking base.tar.xz". */
  readonly what: string;
  /** What to do when the program is not there. */
  readonly missing: string;
}

/**
 * What a program writes to its standard output; it is killed when the reader stops early. Rejects with `environment` when it cannot be started or ends badly,
 * with the end of what it said on standard error.
 */
export async function* childOutput(command: ChildCommand): Bytes {
  const [program = "", ...args] = command.argv;
  // Nothing of the caller's environment but where programs are: TAR_OPTIONS and XZ_DEFAULTS would change what comes out.
  const env = { PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString("utf8")).slice(-2000);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on("error", (cause: NodeJS.ErrnoException) => {
      const message = cause.code === "ENOENT" ? `${command.what} needs the program ${program}` : cause.message;
      reject(new MelangeError("environment", message, { hint: command.missing, cause }));
    });
    child.on("close", (code, signal) => {
      if (code === 0) return resolve();
      const why = said.trim().split("\n").slice(0, 5).join("\n") || `ended with ${signal ?? code}`;
      reject(new MelangeError("environment", `${command.what} failed: ${why}`, { hint: hintFor(why) }));
    });
  });
  ended.catch(() => {}); // awaited below, unless the reader stops early
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    await ended;
  } finally {
    child.kill("SIGKILL");
  }
}

function hintFor(why: string): string {
  if (/permission denied/i.test(why))
    return "Run as root, or make files and directories readable, or give the base as a tar.";
  if (/changed as we read/i.test(why))
    return "Nothing may change the directory while it is read: stop what uses it and try again.";
  if (/corrupt|unexpected end|format not recognized/i.test(why)) return "The file is damaged: fetch or make it again.";
  return "Fix what the message says and try again.";
}
