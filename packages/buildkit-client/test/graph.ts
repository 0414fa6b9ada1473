import { createHash } from "node:crypto";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Just enough of BuildKit's graph to test with: this package takes definitions from wherever they come. */
export interface Node {
  readonly bytes: Uint8Array;
  readonly inputs: readonly Node[];
}

type Value = string | number | boolean | Uint8Array | BinaryWriter | readonly Value[] | undefined;
type Fields = Readonly<Record<number, Value>>;

function message(fields: Fields): BinaryWriter {
  const writer = new BinaryWriter();
  const write = (number: number, value: Value): void => {
    if (value === undefined) return;
    if (Array.isArray(value)) for (const one of value) write(number, one);
    else if (typeof value === "string") writer.tag(number, WireType.LengthDelimited).string(value);
    else if (typeof value === "number") writer.tag(number, WireType.Varint).int64(value);
    else if (typeof value === "boolean") writer.tag(number, WireType.Varint).bool(value);
    else if (value instanceof Uint8Array) writer.tag(number, WireType.LengthDelimited).bytes(value);
    else writer.tag(number, WireType.LengthDelimited).bytes((value as BinaryWriter).finish());
  };
  for (const [number, value] of Object.entries(fields)) write(Number(number), value);
  return writer;
}

function digest(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function node(kind: number, op: Fields, inputs: readonly Node[] = []): Node {
  const links = inputs.map((input) => message({ 1: digest(input.bytes) }));
  return { bytes: message({ 1: links, [kind]: message(op) }).finish(), inputs };
}

const attribute = ([key, value]: readonly [string, string]) => message({ 1: key, 2: value });

export function source(identifier: string, attributes: Readonly<Record<string, string>> = {}): Node {
  return node(3, { 1: identifier, 2: Object.entries(attributes).map(attribute) });
}

/** What is in `from`, or at a path there, as a state of its own. */
export function copyOf(from: Node, path = "/"): Node {
  const copy = message({ 1: path, 2: "/", 4: -1, 6: true, 11: 0 });
  return node(4, { 2: [message({ 1: -1, 2: 0, 3: 0, 4: copy })] }, [from]);
}

export function mkfile(path: string, data: Uint8Array): Node {
  return node(4, { 2: [message({ 1: -1, 2: -1, 3: 0, 5: message({ 1: path, 2: 0o644, 3: data, 5: 0 }) })] });
}

/** Runs a script; `secrets` are mounted at `/dev/.ID`. */
export function run(root: Node, script: string, secrets: readonly string[] = [], optional = false): Node {
  const meta = message({ 1: ["/bin/sh", "-ec", script], 2: ["PATH=/bin"], 3: "/" });
  const mounts = secrets.map((id) =>
    message({ 1: -1, 3: `/dev/.${id}`, 4: -1, 6: 1, 21: message({ 1: id, 4: 0o444, 5: optional }) }),
  );
  return node(2, { 1: meta, 2: [message({ 1: 0, 3: "/", 4: 0 }), ...mounts], 3: 2 }, [root]);
}

/** A serialized pb.Definition. */
export function define(result: Node): Uint8Array {
  const ordered = new Map<string, Uint8Array>();
  const visit = (one: Node): void => {
    one.inputs.forEach(visit);
    ordered.set(digest(one.bytes), one.bytes);
  };
  visit(result);
  const last = message({ 1: [message({ 1: digest(result.bytes) })] }).finish();
  return message({ 1: [...ordered.values(), last] }).finish();
}
