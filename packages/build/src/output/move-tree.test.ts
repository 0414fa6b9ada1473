import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { moveAll } from "./move-tree.ts";

it("moves all or nothing, and passes over what is not there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "melange2-move-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const at = (name: string) => join(folder, name);
  mkdirSync(at("a"));
  writeFileSync(at("b"), "");
  mkdirSync(at("full/x"), { recursive: true });
  const moves = [
    { from: at("a"), to: at("a2") },
    { from: at("nothing"), to: at("nothing2") },
    { from: at("b"), to: at("b2") },
  ];
  await expect(moveAll([...moves, { from: at("a2"), to: at("full") }])).rejects.toMatchObject({ code: "ENOTEMPTY" });
  expect(readdirSync(folder).sort()).toEqual(["a", "b", "full"]);
  await moveAll(moves);
  expect(readdirSync(folder).sort()).toEqual(["a2", "b2", "full"]);
});
