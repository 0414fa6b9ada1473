import { currentState } from "./current-state.ts";

export default currentState;
