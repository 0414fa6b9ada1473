/** "apko": exactly what apko decides. "extended": some of what apko cannot install by a slip of its own can be; see docs/compatibility.md. */
export type Rules = "apko" | "extended";
