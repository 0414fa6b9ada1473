/** What a name is given by kind: shared libraries, commands, pkg-config files. */
const prefixes = ["so:", "cmd:", "pc:"];

/** At most `count` of the names that are closest to one that is not among them, the closest first. */
export function nearestNames(wanted: string, names: Iterable<string>, count = 5): string[] {
  const bare = withoutPrefix(wanted);
  const limit = Math.max(1, Math.min(3, Math.floor(bare.length / 3)));
  const found: { readonly name: string; readonly distance: number }[] = [];
  for (const name of names) {
    const distance = nameDistance(bare, name, limit);
    if (distance <= limit) found.push({ name, distance });
  }
  const isOfAnotherKind = ({ name }: { readonly name: string }) =>
    Number((name === withoutPrefix(name)) !== (wanted === bare));
  found.sort(
    (a, b) => a.distance - b.distance || isOfAnotherKind(a) - isOfAnotherKind(b) || (a.name < b.name ? -1 : 1),
  );
  return found.slice(0, count).map(({ name }) => name);
}

function nameDistance(wanted: string, name: string, limit: number): number {
  const other = withoutPrefix(name);
  // Another number at the end is the usual case, and the same name of another kind: `jq` for `cmd:jq`.
  if (other === wanted || stem(other) === stem(wanted)) return 0;
  if (Math.abs(other.length - wanted.length) > limit) return limit + 1;
  return editDistance(wanted, other);
}

function withoutPrefix(name: string): string {
  const prefix = prefixes.find((each) => name.startsWith(each)) ?? "";
  return name.slice(prefix.length);
}

function stem(name: string): string {
  return name.replace(/[0-9.-]+$/, "");
}

/** How many characters must be put in, taken out or changed to make one text of the other; two that changed places count once. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    before = last;
    last = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(changed, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row[j] = least;
    }
  }
  return row[b.length] ?? a.length;
}
