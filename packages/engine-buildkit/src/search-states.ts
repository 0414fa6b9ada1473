import { randomUUID } from "node:crypto";
import { isBuildkitError } from "@melange2/buildkit-client";
import { compressedBeginnings, matcherOf, type SearchResult, type SecretSource, shortestSecret } from "@melange2/core";
import { diff, exec, type Mount, marshal, type State, scratch } from "@melange2/llb";
import type { BuildSpace } from "./build-space.ts";
import { refusals, refusedToRun, translated } from "./foreign-errors.ts";
import { hiddenFiles } from "./layer-repairs.ts";
import { searchLayers } from "./search-layers.ts";
import { secretLiterals, squeezedLiterals } from "./secret-literals.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import { compareStates } from "./state-comparison.ts";
import { startOf, wrapperPath } from "./unit-op.ts";

/**
 * Paths that hold a secret in any of its forms, in what the base has or any unit of these states left: in files, names and link targets.
 * What a later unit deleted still leaves with the image. Searched in the daemon by the states' own find and grep; where there are none, or
 * the daemon cannot take states apart, here.
 */
export async function searchStates(
  space: BuildSpace,
  states: readonly BuildkitSnapshot[],
  secrets: SecretSource,
  signal: AbortSignal,
): Promise<SearchResult> {
  const values = secrets.names.map((name) => secrets.get(name) ?? "");
  const matcher = matcherOf(secrets);
  if (matcher.longest === 0) return { paths: [], compressed: 0 };
  const paths = new Set<string>();
  let compressed = 0;
  for (const state of states) {
    const inDaemon = space.daemon.takesApart ? await searchInDaemon(space, state, values, signal) : undefined;
    const result = inDaemon ?? (await searchLayers(space, state, matcher, signal));
    for (const path of result.paths) paths.add(path);
    compressed += result.compressed;
  }
  return { paths: [...paths].sort(), compressed };
}

const places = {
  needles: "/dev/.melange2-needles",
  squeezed: "/dev/.melange2-squeezed",
  found: "/dev/.melange2-found",
  layer: (index: number) => `/dev/.melange2-layer-${index}`,
};

const countOfCompressed = "compressed ";

const octal = (bytes: readonly number[]) => bytes.map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

/** Constant; `$1` is the number of layers. Writes a line for each find: its kind, a blank, and what was found, relative to the layer. */
const searchScript = `
for tool in find grep head ls sed tr; do command -v $tool >/dev/null || exit ${refusals.missingTools}; done
layer=0
while [ $layer -lt "$1" ]; do
  cd ${places.layer(0).replace("0", "$layer")} || exit
  find . -type f -exec grep -lF -f ${places.needles} {} + | sed 's/^/path /'
  # What a step wrote is looked at without what stands between the characters, too; a base has too many files for that.
  [ $layer -eq 0 ] || find . -type f -size -131072 -exec sh -c 'for file; do
    tr -d "\\000-\\040\\072\\177" <"$file" | grep -qF -f ${places.squeezed} && printf "path %s\\n" "$file"
  done' sh {} +
  find . | grep -F -f ${places.needles} | sed 's/^/path /'
  # head prints a line with the file's name, its first bytes, and an empty line.
  find . -type f -exec head -v -c 4 {} + | grep -ac ${compressedBeginnings.map((bytes) => `-e "^$(printf '${octal(bytes)}')"`).join(" ")} | sed 's/^/${countOfCompressed}/'
  find . -type l -exec ls -ld {} + | grep -F -f ${places.needles} | sed 's/^/link /'
  layer=$((layer + 1))
done >${places.found}/list
exit 0
`;

/** undefined: the state lacks the programs that it takes, or they do not work. */
async function searchInDaemon(
  space: BuildSpace,
  at: BuildkitSnapshot,
  values: readonly string[],
  signal: AbortSignal,
): Promise<SearchResult | undefined> {
  const { client } = space;
  const { hidden } = await compareStates(space, at, signal);
  const layers = [...layersOf(at), ...(hidden.length === 0 ? [] : [hiddenFiles(at.state, hidden)])];
  const search = exec(at.state, {
    name: "melange2 search for secrets",
    // Secrets are in no cache key: the last word has it executed each time.
    args: ["/bin/sh", "-c", searchScript, "sh", String(layers.length), randomUUID()],
    env: { PATH: wrapperPath, LC_ALL: "C" },
    readonlyRoot: true,
    network: "none",
    mounts: [
      { type: "secret", target: places.needles, id: "melange2-needles" },
      { type: "secret", target: places.squeezed, id: "melange2-squeezed" },
      { type: "bind", target: places.found, from: scratch },
      ...layers.map((from, index): Mount => ({ type: "bind", target: places.layer(index), from, readonly: true })),
    ],
  });
  const lists: Readonly<Record<string, string>> = {
    "melange2-needles": linesOf(values.flatMap(secretLiterals)),
    "melange2-squeezed": linesOf(values.flatMap(squeezedLiterals)),
  };
  const secrets = (id: string) => lists[id];
  await using job = client.job({ serve: { secrets } });
  try {
    const reference = await job.solve(marshal(search.mount(places.found)).bytes, { signal });
    const list = Buffer.from(await job.readFile(reference, "/list", { signal })).toString();
    const lines = list.split("\n").filter(Boolean);
    const counts = lines.filter((line) => line.startsWith(countOfCompressed));
    const finds = lines.filter((line) => !line.startsWith(countOfCompressed));
    const compressed = counts.reduce((sum, line) => sum + Number(line.slice(countOfCompressed.length)), 0);
    return { paths: finds.map(pathOf), compressed };
  } catch (error) {
    if (isBuildkitError(error) && error.code === "solve-failed" && !refusedToRun(error)) return undefined;
    throw translated(error, "searching for secrets");
  }
}

/** The base, and what each unit changed. */
function layersOf({ state, base }: BuildkitSnapshot): readonly State[] {
  const layers: State[] = [];
  let at = state;
  for (let start = startOf(at, base.state); start !== undefined; start = startOf(at, base.state)) {
    layers.unshift(diff(start, at));
    at = start;
  }
  return [at, ...layers];
}

/** grep takes each line for a needle: of one with several, the longest stands for all. */
function linesOf(needles: readonly string[]): string {
  const lines = needles.map((needle) => needle.split("\n").reduce((a, b) => (b.length > a.length ? b : a)));
  return lines
    .filter((line) => line.length >= shortestSecret)
    .map((line) => `${line}\n`)
    .join("");
}

/** `path ./a` as it is, of `link lrwxrwxrwx 1 0 0 1 Jan 1 1970 ./a -> b` the name. */
function pathOf(line: string): string {
  if (line.startsWith("path ")) return line.slice("path .".length);
  const name = line.slice(line.indexOf(" ./") + 2);
  return name.slice(0, name.indexOf(" -> "));
}
