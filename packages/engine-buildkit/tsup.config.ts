import { library } from "@melange2-tooling/presets/tsup";

export default library(["src/index.ts", "src/options.ts"]);
