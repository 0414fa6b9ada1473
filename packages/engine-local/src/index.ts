import { localEngine } from "./engine.ts";

export default localEngine;
export { localEngine };
