import { printable, type Tell } from "@melange2/core";

/** How many names of a kind are told. */
const namesTold = 5;

/** Names what was not copied, in one notice that does not grow with the folder; says nothing where all was. `what` is its beginning. */
export function tellLeftOut(
  leftOut: readonly { readonly path: string; readonly kind: string }[],
  { what, hint, tell }: { readonly what: string; readonly hint: string; readonly tell: Tell },
): void {
  if (leftOut.length === 0) return;
  const kinds = [...new Set(leftOut.map(({ kind }) => kind))].map((kind) =>
    countedNames(
      kind,
      leftOut.filter((one) => one.kind === kind).map(({ path }) => path),
    ),
  );
  tell({ type: "notice", level: "warning", message: `${what}: ${kinds.join("; ")}`, hint });
}

function countedNames(kind: string, names: readonly string[]): string {
  const told = names.slice(0, namesTold).map((name) => printable(name.replaceAll("\n", " ")));
  const more = names.length - told.length;
  return `${names.length} ${kind}${names.length === 1 ? "" : "s"}: ${told.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
