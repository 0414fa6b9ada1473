// Judges cases in a process of its own, so that a crash or a hang is one case's and not the campaign's.
//   node src/child.ts KIND SEED FOLDER CANARY; numbers of cases on standard input, one answer a line on standard output.
import { createInterface } from "node:readline";
import { judges } from "./judges.ts";

const [kind = "", seed = "0", folder = "", canary = ""] = process.argv.slice(2);
const judge = await judges[kind as keyof typeof judges]({ seed: Number(seed), folder, canary });
for await (const line of createInterface({ input: process.stdin })) {
  const said = await judge(Number(line)).catch((error: Error) => `internal error: ${error.stack}`);
  process.stdout.write(`${JSON.stringify(said ?? "")}\n`);
}
process.exit(0);
