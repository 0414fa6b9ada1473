import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { pipelineDirectories } from "./pipeline-directories.ts";
import { readRecipe } from "./read-recipe.ts";

const folder = mkdtempSync(join(tmpdir(), "melange2-directories-"));
afterAll(() => rmSync(folder, { recursive: true }));

for (const name of ["first/group", "second/group", "outside"]) mkdirSync(join(folder, name), { recursive: true });
writeFileSync(join(folder, "first/group/both.yaml"), "name: first");
writeFileSync(join(folder, "second/group/both.yaml"), "name: second");
writeFileSync(join(folder, "second/fetch.yaml"), "name: own fetch");
writeFileSync(join(folder, "outside/secret.yaml"), "name: secret");
symlinkSync("../outside/secret.yaml", join(folder, "first/link.yaml"));
symlinkSync("../outside", join(folder, "first/directory"));
symlinkSync("group/both.yaml", join(folder, "first/inside.yaml"));

const source = pipelineDirectories([join(folder, "first"), join(folder, "second"), join(folder, "missing")]);

test("the first directory that has a pipeline wins, the built-in ones come last", () => {
  expect(source.find("group/both")).toEqual({ file: join(folder, "first/group/both.yaml"), text: "name: first" });
  expect(source.find("fetch")?.text).toBe("name: own fetch");
  expect(source.find("split/dev")?.file).toBe("built-in:split/dev.yaml");
  expect(source.find("nothing")).toBeUndefined();
  expect(source.find("group")).toBeUndefined();
  expect(source.searched).toHaveLength(4);
});

test("links may not lead out of their directory", () => {
  expect(source.find("inside")?.text).toBe("name: first");
  for (const uses of ["link", "directory/secret"]) {
    expect(() => source.find(uses)).toThrow(expect.objectContaining({ code: "recipe" }));
  }
});

test("a recipe that is not there", async () => {
  await expect(readRecipe(join(folder, "none.yaml"), { arch: "x86_64" })).rejects.toMatchObject({ code: "not-found" });
});
