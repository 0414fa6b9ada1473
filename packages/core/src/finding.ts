/** What a check found. A finding never throws: the caller decides whether a warning stops it. */
export interface Finding {
  readonly severity: "error" | "warning";
  /** What is wrong or missing, one line. */
  readonly message: string;
  /** What to do about it, one line. */
  readonly hint: string;
}
