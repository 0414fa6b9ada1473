// The one entry behind the scripts of the root package.json. It needs nothing but Node 20 and npm: the rest it installs.
import { commands } from "./dev/commands.mjs";
import { Failure } from "./dev/shell.mjs";

const [name, ...rest] = process.argv.slice(2);
const command = commands[name ?? ""];
if (command === undefined) {
  console.error(`usage: node tooling/dev.mjs ${Object.keys(commands).join("|")} [arguments]`);
  process.exit(2);
}
try {
  await command(rest);
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  if (error.message !== "") console.error(error.message);
  process.exitCode = error.exitCode;
}
