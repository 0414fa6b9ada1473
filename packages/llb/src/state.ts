import type { Platform, Vertex } from "./vertex.ts";

/** An immutable filesystem: one output of one op, or nothing at all. Making one runs nothing. */
export interface State {
  /** undefined: {@link scratch}. */
  readonly vertex: Vertex | undefined;
  /** Which of the vertex's outputs. */
  readonly output: number;
  /** What ops on top of it run as, unless they say otherwise; undefined: the daemon's own platform. */
  readonly platform: Platform | undefined;
}

/** The empty filesystem. */
export const scratch: State = { vertex: undefined, output: 0, platform: undefined };
