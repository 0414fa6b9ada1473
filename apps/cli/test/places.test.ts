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

it.concurrent("exports in the source folder are no source, also renamed and once their builds are forgotten", async () => {
  await using here = await place();
  const args = ["build", "red.yaml", "--base", (await busyboxRoot()).tar];
  await writeFile(join(here.directory, "red.yaml"), ownRecipe("red", ["ls; exit 7"]));
  await here.shell("mkdir sub; ln -s red.yaml link; mkfifo pipe");
  for (const compression of ["none", "gzip", "zstd"]) {
    const exporting = ["--export-on-failure", "--export-path=sub/d.tar", `--export-compression=${compression}`];
    expect((await here.run([...args, ...exporting])).stderr).toContain("exported to");
    await here.shell(`mv sub/d.tar sub/${compression}; gzip -k sub/${compression}`);
  }
  const pruned = await here.run(["debug", "prune", "--all", "--force"]);
  expect(pruned.code, pruned.stderr).toBe(0);
  await here.shell("rm -rf state");
  const { stderr } = await here.run([...args, "--progress=plain"]);
  expect(stderr.match(/^ {3}1\| (?!total).*/gm)).toEqual(["   1| melange-out", "   1| red.yaml"]);
  expect(stderr).toContain(
    "not copied from the source folder: 1 link: link; 1 FIFO: pipe; 6 exported images: sub/gzip, ",
  );
});
