import { Composer, type Document, isAlias, isScalar, isSeq, Lexer, type Node, Parser, type YAMLMap } from "yaml";
import { limits, refuseBeyond, refuseLongFile } from "./limits.ts";
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
/** A shorter file cannot have more tokens than the limit allows. */
const shortFile = 32 * 1024;

/** The first document of a file, or undefined when there is none or it is no YAML; all that is wrong goes to `problems`. */
export function parseYaml(file: SourceFile, problems: Problems): YamlNode | undefined {
  refuseLongFile(file, limits.text, `the file has more than ${limits.text} characters`);
  if (file.text.length > shortFile) countTokens(file);
  const [document, second] = firstDocuments(file);
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
    const [start, , end] = second.range;
    problems.warn("only the first YAML document of a file is read; the rest is ignored", { file, start, end });
  }
  if (faults.length > 0 || !document.contents) return undefined;
  return convert(document.contents as Node, file, problems);
}

const smaller = "Make the recipe smaller, or keep its data in files that its steps read.";
const tooDeep = "values lie too deep in each other here";
const flatter = "Keep the recipe flat: no real one is so deep.";

/** Refuses a file that would take the parser too much memory. The lexer itself keeps nothing. */
function countTokens(file: SourceFile): void {
  let count = 0;
  let start = 0;
  for (const token of new Lexer().lex(file.text)) {
    count += 1;
    if (count > limits.tokens)
      refuseBeyond(`the file has more than ${limits.tokens} YAML tokens`, { file, start, end: start + 1 }, smaller);
    // The lexer marks where documents, scalars and flow collections begin or end with tokens that are no text.
    if (!markers.has(token)) start += token.length;
  }
}

const markers = new Set(["\u0002", "\u0018", "\u001f"]);

/** The first two documents of a file; those that follow are not even composed. */
function firstDocuments(file: SourceFile): readonly Document.Parsed[] {
  const documents: Document.Parsed[] = [];
  try {
    const composer = new Composer({ schema: "failsafe", uniqueKeys: false, prettyErrors: false });
    for (const document of composer.compose(new Parser().parse(file.text))) {
      documents.push(document);
      if (documents.length === 2) break;
    }
    return documents;
  } catch (error) {
    // The composer descends into each value: a file of brackets takes it below the end of its stack.
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

function convert(root: Node, file: SourceFile, problems: Problems): YamlNode {
  const open = new Set<Node>();
  const anchors = new Map<string, Node>();
  const targets = new Map<Node, Node>();
  const visited = new Set<Node>();
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
      // An alias means the nearest anchor of its name before it, also where another alias repeats it.
      const target = targets.get(node) ?? anchors.get(node.source);
      if (!target || open.has(target)) {
        const why = target ? "contains itself" : "is not defined";
        problems.error(`the anchor "${node.source}" ${why}`, place);
        return { kind: "null", place };
      }
      targets.set(node, target);
      return value(target, place);
    }
    if ("anchor" in node && node.anchor && !visited.has(node)) anchors.set(node.anchor, node);
    visited.add(node);
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
