import { library } from "@melange2-tooling/presets/tsup";

// The second is the program of a thread, found beside the first by its file name.
export default library(["src/index.ts", "src/copy-thread.ts"]);
