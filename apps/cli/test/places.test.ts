import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { expect, it, vi } from "vitest";
import { arch, place } from "./melange2.ts";
import { ownRecipe } from "./own-recipe.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

it.concurrent("the state folder may be named relative to where melange2 is called", async () => {
  await using here = await place();
  await writeFile(join(here.directory, "red.yaml"), ownRecipe("red", ["echo half > partial; exit 7"]));
  const env = { MELANGE2_STATE_DIR: "mine" };
  const failed = await here.run(["build", "red.yaml", "--base", (await busyboxRoot()).tar], { env });
  expect(failed.code, failed.stderr).toBe(1);
  const shown = await here.run(["debug", "cat", "partial"], {
    env: { MELANGE2_STATE_DIR: join(here.directory, "mine") },
  });
  expect(shown.stdout.toString(), shown.stderr).toBe("half\n");
});

it.concurrent("a folder named like the package beside the recipe is its source; a file is not", async () => {
  await using here = await place();
  const base = (await busyboxRoot()).tar;
  await mkdir(join(here.directory, "folder"));
  for (const [name, path] of [
    ["folder", "folder/note"],
    ["file", "file"],
  ] as const) {
    await writeFile(join(here.directory, path), "source");
    const script = `mkdir -p melange-out/${name}; cp * melange-out/${name}/ || true`;
    await writeFile(join(here.directory, `${name}.yaml`), ownRecipe(name, [script]));
    const built = await here.run(["build", `${name}.yaml`, "--base", base]);
    expect(built.code, built.stderr).toBe(0);
  }
  const output = join(here.directory, "packages", arch);
  expect(await readFile(join(output, "folder/note"), "utf8")).toBe("source");
  expect(await readFile(join(output, "file/file"), "utf8")).toBe("source");
});
