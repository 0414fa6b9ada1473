import { library } from "@melange2-tooling/presets/tsup";

export default library();
