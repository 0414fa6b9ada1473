import { spawn } from "node:child_process";

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string | undefined>;
  /** Written to the program's standard input; without it the program reads an empty one. */
  input?: string;
}

/** Runs a program to its end and gives its standard output. An exit code other than 0 is an error that quotes the last lines it wrote. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program = "", ...rest] = argv;
  const child = spawn(program, rest, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  // A program that does not read its input closes it early; its exit code tells the rest.
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const exit = await new Promise<number | string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  const stdout = Buffer.concat(out).toString();
  if (exit === 0) return stdout;
  const said = lastLines(`${stdout}\n${Buffer.concat(err)}`, 15);
  throw new Error(`${argv.join(" ")} ended with ${exit}:\n${said}`);
}

export function lastLines(text: string, count: number): string {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-count)
    .join("\n");
}
