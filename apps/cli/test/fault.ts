import { isMap, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from "yaml";

/** Which step of a recipe breaks: by its place among the steps of the main pipeline or of the first subpackage. */
export type FaultyStep = "first" | "middle" | "last" | "subpackage";

/** What the broken step leaves before it fails, in the workspace. */
export const partialFile = "/home/build/left-by-the-broken-step";

/** Files in the cache directory, which no snapshot holds: each run of a step adds a line. */
export const counters = { before: "runs-before", broken: "runs-broken" } as const;

const count = (name: string) => `echo run >> /var/cache/melange/${name}`;

const fault = `
${count(counters.broken)}
echo half of the work > ${partialFile}
rm -rf /home/build/to-be-deleted
echo "now it breaks" >&2
exit 7
`;

const layDown = `${count(counters.before)}\nmkdir to-be-deleted\necho x > to-be-deleted/file\n`;

/**
 * The recipe with a step that does its work, leaves a file, deletes another and fails with 7. Before everything, a step of ours lays
 * the file down that it deletes, so that deletions show.
 */
export function withFault(recipe: string, where: FaultyStep): string {
  const document = parseDocument(recipe);
  const main = pipelineOf(document.contents as YAMLMap);
  const steps = where === "subpackage" ? pipelineOf((document.get("subpackages") as YAMLSeq<YAMLMap>).items[0]) : main;
  const index = { first: 0, middle: Math.floor(steps.items.length / 2), last: steps.items.length - 1, subpackage: 0 }[
    where
  ];
  const step = steps.items[index];
  if (!step) throw new Error(`no ${where} step`);
  const runs = step.get("runs");
  if (typeof runs === "string") step.set("runs", `${runs}${fault}`);
  else steps.items.splice(index + 1, 0, document.createNode({ name: "broken", runs: fault }) as YAMLMap);
  main.items.unshift(document.createNode({ name: "lay down", runs: layDown }) as YAMLMap);
  return String(document);
}

function pipelineOf(map: YAMLMap | undefined): YAMLSeq<YAMLMap> {
  const pipeline = map?.get("pipeline");
  if (!isSeq(pipeline) || !pipeline.items.every(isMap)) throw new Error("not a pipeline");
  return pipeline as YAMLSeq<YAMLMap>;
}
