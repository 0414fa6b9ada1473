import { type Document, isAlias, isScalar, isSeq, type Node, parseAllDocuments, type YAMLMap } from "yaml";
import { limits, refuseBeyond } from "./limits.ts";
import type { Place, Problems, SourceFile } from "./source.ts";

/** A YAML value whose scalars keep their source text: what they mean is decided by whoever reads them. */
export type YamlNode =
  | { readonly kind: "null"; readonly place: Place }
  | { readonly kind: "scalar"; readonly text: string; readonly plain: boolean; readonly place: Place }
  | { readonly kind: "list"; readonly items: readonly YamlNode[]; readonly place: Place }
  | { readonly kind: "map"; readonly entries: readonly YamlEntry[]; readonly place: Place };

export interface YamlEntry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly value: YamlNode;
}

const nullWords = new Set(["", "~", "null", "Null", "NULL"]);
const coreTags = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq|timestamp)$/;
/** Aliases expand to copies; this many are more than any recipe has and fewer than an attack needs. */
const mostAliases = 10_000;

/** The first document of a file, or undefined when there is none or it is no YAML; all that is wrong goes to `problems`. */
export function parseYaml(file: SourceFile, problems: Problems): YamlNode | undefined {
  const { length } = file.text;
  if (length > limits.text)
    refuseBeyond(
      `the file has more than ${limits.text} characters`,
      { file, start: limits.text, end: length },
      smaller,
    );
  const documents = parsed(file);
  if (!Array.isArray(documents)) return undefined;
  const whole: Place = { file, start: 0, end: file.text.length };
  const [document, second] = documents as Document.Parsed[];
  if (!document) return undefined;
  // Explicit core tags are resolved here; the failsafe schema does not know them.
  const faults = [...document.errors, ...document.warnings].filter(
    ({ code, message }) => code !== "TAG_RESOLVE_FAILED" || !message.includes("tag:yaml.org,2002:"),
  );
  for (const error of faults) {
    const [start, end] = error.pos;
    // The parser catches its own stack's end, and reports it as a fault of the text.
    if (error.message.includes("call stack")) refuseBeyond(tooDeep, deepest(file), flatter);
    problems.error(`not valid YAML: ${error.message}`, { file, start, end });
  }
  if (second) {
    const start = second.range[0];
    problems.warn("only the first YAML document of a file is read; the rest is ignored", { ...whole, start });
  }
  if (faults.length > 0 || !document.contents) return undefined;
  return convert(document.contents as Node, document, file, problems);
}

const smaller = "Make the recipe smaller, or keep its data in files that its steps read.";
const tooDeep = "values lie too deep in each other here";
const flatter = "Keep the recipe flat: no real one is so deep.";

/** The parser descends into each value: a file of brackets alone would take it below the end of its stack. */
function parsed(file: SourceFile): ReturnType<typeof parseAllDocuments> {
  try {
    return parseAllDocuments(file.text, { schema: "failsafe", uniqueKeys: false, prettyErrors: false });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return refuseBeyond(tooDeep, deepest(file), flatter);
  }
}

function deepest(file: SourceFile): Place {
  let [depth, most, start] = [0, 0, 0];
  for (const { 0: bracket, index } of file.text.matchAll(/[[{\]}]|(?<=^|[ -])-(?= )/g)) {
    depth += bracket === "]" || bracket === "}" ? -1 : 1;
    if (depth > most) [most, start] = [depth, index];
  }
  return { file, start, end: start + 1 };
}

function convert(root: Node, document: Document.Parsed, file: SourceFile, problems: Problems): YamlNode {
  const open = new Set<Node>();
  let aliases = 0;
  let values = 0;

  const placeOf = (node: Node | null | undefined, fallback: Place): Place =>
    node?.range ? { file, start: node.range[0], end: node.range[1] } : fallback;

  function value(node: Node | null | undefined, fallback: Place): YamlNode {
    const place = placeOf(node, fallback);
    values += 1;
    if (values > limits.values) refuseBeyond(`the file has more than ${limits.values} values`, place, smaller);
    if (open.size > limits.depth)
      refuseBeyond(`values lie more than ${limits.depth} deep in each other`, place, flatter);
    if (!node) return { kind: "null", place };
    if (isAlias(node)) {
      const target = node.resolve(document);
      aliases += 1;
      if (!target || open.has(target) || aliases > mostAliases) {
        const why = !target ? "is not defined" : open.has(target) ? "contains itself" : "is one alias too many";
        problems.error(`the anchor "${node.source}" ${why}`, place);
        return { kind: "null", place };
      }
      return value(target, place);
    }
    if (node.tag !== undefined && !coreTags.test(node.tag) && node.tag.startsWith("tag:yaml.org,2002:")) {
      problems.error(`the YAML tag !!${node.tag.slice("tag:yaml.org,2002:".length)} is not supported`, place);
    }
    if (isScalar(node)) return scalar(node, place);
    open.add(node);
    const result: YamlNode = isSeq(node)
      ? { kind: "list", items: node.items.map((item) => value(item as Node | null, place)), place }
      : { kind: "map", entries: entries(node as YAMLMap, place), place };
    open.delete(node);
    return result;
  }

  function scalar(node: Node & { value: unknown; type?: string; source?: string }, place: Place): YamlNode {
    const plain = node.type === "PLAIN" && node.tag !== "tag:yaml.org,2002:str";
    const text = node.type === "PLAIN" ? (node.source ?? "") : String(node.value ?? "");
    if (plain && nullWords.has(text)) return { kind: "null", place };
    return { kind: "scalar", text, plain, place };
  }

  function entries(map: YAMLMap, place: Place): YamlEntry[] {
    const own = new Map<string, YamlEntry>();
    const merged: YamlEntry[] = [];
    for (const pair of map.items) {
      const keyNode = pair.key as Node | null;
      const keyPlace = placeOf(keyNode, place);
      const key = value(keyNode, place);
      if (key.kind === "list" || key.kind === "map") {
        problems.error("a key must be a word, not a list or a map", keyPlace);
        continue;
      }
      const name = key.kind === "null" ? "" : key.text;
      const entry: YamlEntry = { key: name, keyPlace, value: value(pair.value as Node | null, keyPlace) };
      if (name === "<<" && key.kind === "scalar" && key.plain) {
        merged.push(...mergedEntries(entry));
        continue;
      }
      const first = own.get(name);
      if (first) {
        const { line } = file.lines.linePos(first.keyPlace.start);
        problems.error(`the key "${name}" is already set in line ${line}`, keyPlace, { hint: "Keep one of the two." });
        continue;
      }
      own.set(name, entry);
    }
    for (const entry of merged) if (!own.has(entry.key)) own.set(entry.key, entry);
    return [...own.values()];
  }

  function mergedEntries(merge: YamlEntry): readonly YamlEntry[] {
    const sources = merge.value.kind === "list" ? merge.value.items : [merge.value];
    return sources.flatMap((source) => {
      if (source.kind === "map") return source.entries;
      problems.error("a merge key (<<) takes a map or a list of maps", source.place);
      return [];
    });
  }

  return value(root, { file, start: 0, end: file.text.length });
}
