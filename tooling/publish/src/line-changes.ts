/** The lines that one text has and the other has not, marked `-` and `+`, in the order of the texts. Equal lines pair up by count. */
export function lineChanges(before: string, after: string): string[] {
  return [
    ...missingFrom(after, before).map((line) => `- ${line}`),
    ...missingFrom(before, after).map((line) => `+ ${line}`),
  ];
}

function missingFrom(text: string, lines: string): string[] {
  const counts = new Map<string, number>();
  for (const line of text.split("\n")) counts.set(line, (counts.get(line) ?? 0) + 1);
  return lines.split("\n").filter((line) => {
    const count = counts.get(line) ?? 0;
    counts.set(line, count - 1);
    return count <= 0;
  });
}
