import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeSurface } from "./surface.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "melange2-surface-"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
});
afterAll(() => rmSync(folder, { recursive: true }));

function surfaceOf(declarations: string): string {
  const file = join(folder, "index.d.ts");
  writeFileSync(file, declarations);
  return describeSurface(file);
}

const before = `
/** A comment. */
interface Inner { readonly a: string }
interface Unrelated { readonly z: string }
declare function second(): Inner;
declare function second(again: boolean): Inner;
declare const first: 1;
export { first as renamed, second };
`;

test("exported names come sorted, with what they mention, and nothing else", () => {
  expect(surfaceOf(before)).toBe(`// first, exported as renamed
const first: 1;

function second(): Inner;
function second(again: boolean): Inner;

// not exported
interface Inner {
    readonly a: string;
}
`);
});

test("comments and order change nothing", () => {
  const reordered = before
    .replace("A comment", "Another")
    .replace("first as renamed, second", "second, first as renamed");
  expect(surfaceOf(reordered)).toBe(surfaceOf(before));
});

test("a change in a type that is only mentioned shows", () => {
  expect(surfaceOf(before.replace("readonly a: string", "readonly a: number"))).not.toBe(surfaceOf(before));
});
