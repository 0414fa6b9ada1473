import { globSync } from "node:fs";
import { library } from "@melange2-tooling/presets/tsup";

// Each command is a module of its own, so that one command's start never loads another's code.
const commands = globSync(["src/commands/**/*.ts", "src/hooks/*.ts"]).filter((file) => !file.endsWith(".test.ts"));
const entry = Object.fromEntries(commands.map((file) => [file.replace(/^src\/(.*)\.ts$/, "$1"), file]));

export default { ...library(), entry, dts: false };
