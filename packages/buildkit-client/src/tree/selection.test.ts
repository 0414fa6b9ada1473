import { expect, it } from "vitest";
import type { TreeEntry } from "./entry.ts";
import { selection } from "./selection.ts";

const everything = { include: [], exclude: [], follow: [] };
const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 0n };
const open = async function* () {};

it("does not enter what is left out, unless something in there may be taken back", () => {
  expect(selection(everything).enters("data")).toBe(true);
  const without = selection({ ...everything, exclude: ["data"] });
  expect([without.enters("data"), without.enters("data/deep"), without.enters("other")]).toEqual([false, false, true]);
  expect(selection({ ...everything, exclude: ["data", "!data/kept"] }).enters("data")).toBe(true);
});

it("makes the first link to a file that is left out the file, and later ones links to that", () => {
  const entries: readonly TreeEntry[] = [
    { ...attributes, path: "a", type: "file", size: 0, open },
    { ...attributes, path: "b", type: "hardlink", target: "a" },
    { ...attributes, path: "c", type: "hardlink", target: "a" },
  ];
  expect(selection({ ...everything, exclude: ["a"] }).from(entries)).toEqual([
    { ...attributes, path: "b", type: "file", size: 0, open },
    { ...attributes, path: "c", type: "hardlink", target: "b" },
  ]);
  expect(selection(everything).from(entries)).toBe(entries);
});
