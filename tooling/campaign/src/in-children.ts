import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Ground, judges } from "./judges.ts";
import type { Tally } from "./tally.ts";

/** A case that takes longer hangs. */
const patience = 10_000;

const program = fileURLToPath(new URL("child.ts", import.meta.url));

/** Tries cases 0 to `count` of a kind in a child, in a new one after each crash or hang, and notes what went wrong. */
export async function tryInChildren(
  kind: keyof typeof judges,
  ground: Ground,
  count: number,
  into: Tally,
): Promise<void> {
  let child: Child | undefined;
  for (let index = 0; index < count; index++) {
    child ??= startChild(kind, ground);
    const answer = await child.ask(index);
    into.cases++;
    const about = `case ${index}: ${answer.text}`;
    if (answer.end === "said" && answer.text !== "") into.found.push({ fault: "internal error", about });
    if (answer.end === "said") continue;
    into.found.push({ fault: answer.end, about });
    child.kill();
    child = undefined;
  }
  child?.kill();
}

interface Child {
  ask(index: number): Promise<{ readonly end: "said" | "crash" | "hang"; readonly text: string }>;
  kill(): void;
}

function startChild(kind: string, { seed, folder, canary }: Ground): Child {
  const argv = [
    "--conditions=melange2-source",
    "--max-old-space-size=600",
    program,
    kind,
    String(seed),
    folder,
    canary,
  ];
  const child: ChildProcess = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "pipe"] });
  let stderr = "";
  child.stderr?.on("data", (piece: Buffer) => {
    stderr = (stderr + piece).slice(-2000);
  });
  child.stdin?.on("error", () => {});
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  let first = true;
  return {
    async ask(index) {
      child.stdin?.write(`${index}\n`);
      // The first answer waits for the product to be imported as well.
      const limit = patience + (first ? 30_000 : 0);
      first = false;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<"late">((resolve) => {
        timer = setTimeout(() => resolve("late"), limit);
      });
      const line = await Promise.race([lines.next(), late]);
      clearTimeout(timer);
      if (line === "late") return { end: "hang", text: stderr };
      if (line.done === true) return { end: "crash", text: stderr };
      return { end: "said", text: JSON.parse(line.value) as string };
    },
    kill: () => void child.kill("SIGKILL"),
  };
}
