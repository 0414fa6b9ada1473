import { lastGood } from "./last-good.ts";

export default lastGood;
// For strategies that fall back to it.
export { lastGood };
