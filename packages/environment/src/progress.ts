/** What a long step has done so far, in bytes; `total` where it is known. Called often: throttle before drawing. */
export type OnProgress = (progress: {
  readonly what: string;
  readonly done: number;
  readonly total: number | undefined;
}) => void;
