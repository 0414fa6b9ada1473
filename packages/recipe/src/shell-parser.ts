import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

/** The first mistake in a script. */
export interface ShellMistake {
  readonly message: string;
  /** Counts from 1. */
  readonly line: number;
}

/** A text that has no mistake, printed again without its comments; or the first mistake. */
export type ShellResult = { readonly printed: string } | { readonly mistake: ShellMistake };

/** Parses bash, the dialect that melange checks scripts against. */
export type ShellParser = (text: string) => ShellResult;

// The garbage collector of an instance works during the instance's first call only; later it takes what is still in use. These
// limits end an instance when a quarter of its memory is used. A longer text gets an instance of its own.
const textsOfAnInstance = 100;
const charactersOfAnInstance = 64 * 1024;

/**
 * The parser of sh-syntax, which is melange's own, compiled to WebAssembly. The functions of that package make an instance
 * for each text, which costs ten times as much as parsing the text; this parser uses an instance for many texts. Rejects
 * where the module cannot be read.
 */
export async function loadShellParser(): Promise<ShellParser> {
  const load = createRequire(import.meta.url);
  const module = await WebAssembly.compile(await readFile(load.resolve("sh-syntax/main.wasm")));
  // The file sets `globalThis.Go`, the host's side of a Go program.
  load("sh-syntax/vendors/wasm_exec.cjs");
  let instance: Instance | undefined;
  return (text) => {
    if (!instance || instance.texts >= textsOfAnInstance || instance.characters + text.length > charactersOfAnInstance)
      instance = instantiate(module);
    const fresh = instance.texts === 0;
    const result = parse(instance, text);
    if ("printed" in result || fresh) {
      if ("mistake" in result) instance = undefined;
      return result;
    }
    // A mistake may be the instance's own: only a new instance is believed.
    instance = undefined;
    return parse(instantiate(module), text);
  };
}

interface Instance {
  readonly exports: {
    readonly memory: { readonly buffer: ArrayBuffer };
    wasmAlloc(bytes: number): number;
    wasmFree(at: number): void;
    process(...values: readonly (number | boolean)[]): number;
  };
  texts: number;
  characters: number;
}

interface GoProgram {
  readonly importObject: Record<string, Record<string, () => number>>;
  run(instance: Pick<Instance, "exports">): Promise<number>;
}

/** The part of the global object that TypeScript knows for browsers only. */
interface WebAssemblyNamespace {
  compile(bytes: Uint8Array): Promise<WebAssemblyModule>;
  readonly Instance: new (module: WebAssemblyModule, imports: object) => Pick<Instance, "exports">;
}

type WebAssemblyModule = { readonly brand: unique symbol };

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyNamespace };

function instantiate(module: WebAssemblyModule): Instance {
  const { Go } = globalThis as unknown as { readonly Go: new () => GoProgram };
  const program = new Go();
  const { wasi_snapshot_preview1: system } = program.importObject;
  // What a broken instance says about itself would go to standard output.
  if (system) system.fd_write = () => 0;
  const instance = new WebAssembly.Instance(module, program.importObject);
  // The program's main function returns at once; the promise is for its exit, which nobody waits for.
  void program.run(instance);
  return { exports: instance.exports, texts: 0, characters: 0 };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const bash = 1;

function parse(instance: Instance, text: string): ShellResult {
  instance.texts += 1;
  instance.characters += text.length;
  try {
    return readResult(process(instance.exports, text));
  } catch {
    // A stack that overflows breaks the instance; the errors that it throws then are of many kinds.
    return { mistake: { message: "it nests too deep or is too long", line: 1 } };
  }
}

/** The parser's JSON about the text. Throws what WebAssembly throws where the instance breaks. */
function process(exports: Instance["exports"], text: string): string {
  /** A Go slice: where its bytes are, its length, its capacity. */
  const slice = (value: string): readonly [at: number, length: number, capacity: number] => {
    const bytes = encoder.encode(value);
    const at = exports.wasmAlloc(bytes.length);
    new Uint8Array(exports.memory.buffer).set(bytes, at);
    return [at, bytes.length, bytes.length];
  };
  const [name, script, stopAt] = [slice("script"), slice(text), slice("")];
  // The parser answers with the text printed again, or with its tree, which is many times as long.
  const [print, keepComments, recoverErrors, simplify, indent] = [true, false, 0, false, 0];
  const [binaryNextLine, switchCaseIndent, spaceRedirects, keepPadding] = [false, false, false, false];
  const [minify, singleLine, functionNextLine] = [false, false, false];
  const result = exports.process(
    ...name,
    ...script,
    print,
    keepComments,
    bash,
    ...stopAt,
    recoverErrors,
    simplify,
    indent,
    binaryNextLine,
    switchCaseIndent,
    spaceRedirects,
    keepPadding,
    minify,
    singleLine,
    functionNextLine,
  );
  for (const [at] of [name, script, stopAt]) exports.wasmFree(at);
  const bytes = new Uint8Array(exports.memory.buffer).subarray(result);
  return decoder.decode(bytes.subarray(0, bytes.indexOf(0)));
}

function readResult(json: string): ShellResult {
  const result: {
    readonly text: string;
    readonly message: string;
    readonly parseError: { readonly Text: string; readonly Pos: { readonly Line: number } } | null;
  } = JSON.parse(json);
  const { parseError, message, text } = result;
  if (parseError) return { mistake: { message: parseError.Text, line: parseError.Pos.Line } };
  return message ? { mistake: { message, line: 1 } } : { printed: text };
}
