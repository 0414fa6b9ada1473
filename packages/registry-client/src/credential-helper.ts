import { spawn } from "node:child_process";
import type { Credentials } from "./credentials.ts";
import { RegistryError } from "./error.ts";

/** A program `docker-credential-NAME` on the user's PATH. */
export interface CredentialHelper {
  /** undefined: it has none for this server. Rejects with {@link RegistryError} `credentials`; what the helper said is not repeated. */
  get(server: string): Promise<Credentials | undefined>;
}

export interface CredentialHelperOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Milliseconds until a helper is given up; default 1 minute, for it may ask the user. */
  readonly timeout?: number | undefined;
}

const nameForm = /^[a-z0-9-]+$/;
const notFound = "credentials not found";
const largestOutput = 64 * 1024;
/** The user name under which a helper hands out an identity token. */
const tokenUser = "<token>";

/** `configPath`: the file that names the helper, for messages. Throws for a name that could lead to a program elsewhere. */
export function createCredentialHelper(
  name: string,
  configPath: string,
  options: CredentialHelperOptions,
): CredentialHelper {
  if (!nameForm.test(name)) {
    throw new RegistryError(
      "credentials",
      `${configPath} names the credential helper ${JSON.stringify(name)}, which is not allowed`,
      {
        hint: "A helper's name is made of lowercase letters, digits and dashes.",
      },
    );
  }
  const program = `docker-credential-${name}`;
  const failed = (why: string, cause?: unknown) =>
    new RegistryError("credentials", `the credential helper ${program} ${why}`, {
      hint: `Check that \`${program} list\` works, or take it out of ${configPath}.`,
      cause,
    });

  return {
    async get(server) {
      options.signal.throwIfAborted();
      const { output, status } = await ask(program, server, options, failed);
      if (status !== 0) {
        // Written by docker's own helpers library, in several sentences that begin or end with it.
        if (output.toLowerCase().includes(notFound)) return undefined;
        throw failed(`failed with exit status ${status}`);
      }
      let json: Readonly<Record<string, unknown>>;
      try {
        json = Object(JSON.parse(output));
      } catch {
        throw failed("did not answer in JSON");
      }
      const { Username: username, Secret: secret } = json;
      if (typeof username !== "string" || typeof secret !== "string")
        throw failed("answered without Username and Secret");
      if (secret === "") return undefined;
      return username === tokenUser ? { identityToken: secret } : { username, password: secret };
    },
  };
}

function ask(
  program: string,
  server: string,
  { env, signal, timeout = 60_000 }: CredentialHelperOptions,
  failed: (why: string, cause?: unknown) => RegistryError,
): Promise<{ readonly output: string; readonly status: number | string }> {
  return new Promise((resolve, reject) => {
    // The helper leads a session of its own, so that its children end with it.
    const child = spawn(program, ["get"], { env: { ...env }, detached: true, stdio: ["pipe", "pipe", "ignore"] });
    const chunks: Buffer[] = [];
    /** Ends the helper and its children. Their pipes are closed here, since a child that left the session may hold them open. */
    const giveUp = (reason: unknown) => {
      settle();
      endGroup(child.pid);
      child.stdin.destroy();
      child.stdout.destroy();
      child.unref();
      reject(reason);
    };
    const timer = setTimeout(() => giveUp(failed(`did not answer within ${timeout / 1000} s`)), timeout);
    const interrupt = () => giveUp(signal.reason);
    signal.addEventListener("abort", interrupt, { once: true });
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", interrupt);
    };
    let size = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > largestOutput) giveUp(failed("says too much"));
      else chunks.push(chunk);
    });
    // A helper that ends without reading its input says why by its status.
    child.stdin.on("error", () => {});
    child.stdin.end(server);
    child.on("error", (error) => {
      settle();
      reject(failed(`cannot be run (${(error as { code?: string }).code})`, error));
    });
    child.on("close", (code, killedBy) => {
      settle();
      resolve({ output: Buffer.concat(chunks).toString("utf8"), status: code ?? killedBy ?? "unknown" });
    });
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The whole group has ended by itself.
  }
}
