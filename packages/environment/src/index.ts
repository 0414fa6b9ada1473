export type { Base, OpenBaseOptions } from "./open-base.ts";
export { openBase } from "./open-base.ts";
export type { OnProgress } from "./progress.ts";
