import { printable, type Tell } from "@melange2/core";
import type { LeftOut } from "@melange2/environment";

/** How many names of a kind are told. */
const namesTold = 5;

/** Names what lies in the source folder and no step will see, in one notice that does not grow with the folder. */
export function tellLeftOut(leftOut: readonly LeftOut[], tell: Tell): void {
  if (leftOut.length === 0) return;
  const kinds = [...new Set(leftOut.map(({ kind }) => kind))].map((kind) =>
    countedNames(
      kind,
      leftOut.filter((one) => one.kind === kind).map(({ path }) => path),
    ),
  );
  const message = `not copied from the source folder: ${kinds.join("; ")}`;
  const hint = "Steps get regular files only, as with melange: make a link in a step, or put a file in its place.";
  tell({ type: "notice", level: "warning", message, hint });
}

function countedNames(kind: string, names: readonly string[]): string {
  const told = names.slice(0, namesTold).map((name) => printable(name.replaceAll("\n", " ")));
  const more = names.length - told.length;
  return `${names.length} ${kind}${names.length === 1 ? "" : "s"}: ${told.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
