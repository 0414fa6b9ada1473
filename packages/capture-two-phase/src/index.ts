import { twoPhase } from "./two-phase.ts";

export default twoPhase;
