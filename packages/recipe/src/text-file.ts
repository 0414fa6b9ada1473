import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { MelangeError } from "@melange2/core";
import { limits } from "./limits.ts";

/** Four bytes are the most that UTF-8 has for a character. */
const mostBytes = limits.text * 4;

/**
 * The text of a file that a user or a recipe names. Throws `not-found` where there is none, `recipe` where it is no file (opening a FIFO would wait
 * for ever), where it is too long, and where its bytes are no UTF-8, at their place. `what` begins messages: `the recipe`.
 */
export function readTextFile(path: string, what: string): string {
  return decoded(readBytes(path, what), path, what);
}

function readBytes(path: string, what: string): Buffer {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const about = fstatSync(file);
    if (!about.isFile()) throw noFile(path, what, kindOf(about));
    if (about.size > mostBytes) throw tooLong(path, what);
    return readToEnd(file, about.size, path, what);
  } catch (error) {
    throw error instanceof MelangeError ? error : unreadable(path, what, error as NodeJS.ErrnoException);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** `size` is what the file tells, and only a guess: files of /proc say that they are empty, and a file may grow while it is read. */
function readToEnd(file: number, size: number, path: string, what: string): Buffer {
  const piece = Buffer.allocUnsafe(Math.min(size + 1, 64 * 1024));
  const pieces: Buffer[] = [];
  let length = 0;
  for (;;) {
    const read = readSync(file, piece, 0, piece.length, null);
    if (read === 0) return Buffer.concat(pieces);
    length += read;
    if (length > mostBytes) throw tooLong(path, what);
    pieces.push(Buffer.from(piece.subarray(0, read)));
  }
}

const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decoded(bytes: Buffer, path: string, what: string): string {
  try {
    return fatal.decode(bytes);
  } catch {
    const before = bytes.subarray(0, firstBad(bytes)).toString();
    const line = before.split("\n").length;
    const location = { file: path, line, column: before.length - before.lastIndexOf("\n") };
    throw new MelangeError("recipe", `${what} is not UTF-8 here`, {
      hint: "Save the file as UTF-8.",
      location,
      problems: [{ message: `${what} is not UTF-8 here`, location }],
    });
  }
}

/** Where the first byte stands that belongs to no character. */
function firstBad(bytes: Buffer): number {
  let [good, bad] = [0, bytes.length];
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (isPrefix(bytes.subarray(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

/** Whether the bytes are UTF-8, the last character perhaps cut. */
function isPrefix(bytes: Buffer): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

function kindOf(about: Stats): string {
  if (about.isDirectory()) return "a folder";
  if (about.isFIFO()) return "a FIFO";
  if (about.isSocket()) return "a socket";
  return "a device";
}

function noFile(path: string, what: string, kind: string): MelangeError {
  return new MelangeError("not-found", `${what} ${path} cannot be read: it is ${kind}, not a file`, { hint: give });
}

function tooLong(path: string, what: string): MelangeError {
  return new MelangeError("recipe", `${what} ${path} is longer than ${limits.text / 1024 / 1024} MiB`, {
    hint: "Keep the recipe's data in files that its steps read.",
  });
}

function unreadable(path: string, what: string, cause: NodeJS.ErrnoException): MelangeError {
  // Sockets, and devices that nobody serves, cannot be opened.
  const why = cause.code === "ENXIO" ? "it is a socket or a device, not a file" : cause.message;
  return new MelangeError("not-found", `${what} ${path} cannot be read: ${why}`, { hint: give, cause });
}

const give = "Give the path of a melange YAML file.";
