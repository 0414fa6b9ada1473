import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { pipelineDirectories } from "./pipeline-directories.ts";
import { readRecipe } from "./read-recipe.ts";

const folder = mkdtempSync(join(tmpdir(), "melange2-directories-"));
afterAll(() => rmSync(folder, { recursive: true }));

for (const name of ["first/group", "second/group", "outside", "installed"])
  mkdirSync(join(folder, name), { recursive: true });
writeFileSync(join(folder, "first/group/both.yaml"), "name: first");
writeFileSync(join(folder, "second/group/both.yaml"), "name: second");
writeFileSync(join(folder, "second/fetch.yaml"), "name: own fetch");
writeFileSync(join(folder, "outside/secret.yaml"), "name: secret");
symlinkSync("../outside/secret.yaml", join(folder, "first/link.yaml"));
symlinkSync("../outside", join(folder, "first/directory"));
symlinkSync("group/both.yaml", join(folder, "first/inside.yaml"));

writeFileSync(join(folder, "installed/fetch.yaml"), "name: installed fetch");
writeFileSync(join(folder, "installed/more.yaml"), "name: installed");

const own = [join(folder, "first"), join(folder, "second"), join(folder, "missing")];
const source = pipelineDirectories(own, join(folder, "installed"));

test("the first directory that has a pipeline wins, then the built-in ones, and last what is installed", () => {
  expect(source.find("group/both")).toEqual({ file: join(folder, "first/group/both.yaml"), text: "name: first" });
  expect(source.find("fetch")?.text).toBe("name: own fetch");
  expect(source.find("split/dev")?.file).toBe("built-in:split/dev.yaml");
  expect(source.find("nothing")).toBeUndefined();
  expect(source.find("group")).toBeUndefined();
  expect(source.find("more")?.text).toBe("name: installed");
  expect(pipelineDirectories([], join(folder, "installed")).find("fetch")?.file).toBe("built-in:fetch.yaml");
  expect(source.searched).toEqual([...own, "the built-in pipelines", join(folder, "installed")]);
  expect(pipelineDirectories([]).searched).toEqual(["the built-in pipelines", "/usr/share/melange/pipelines"]);
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
