import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { program } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { configOf } from "./judges.ts";
import { place } from "./melange2.ts";
import { ownRecipe } from "./own-recipe.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const token = "t0ken-of-the-env-file";
const own = "s3cret-of-the-environment";
const values = [token, own];
const secrets = { API_TOKEN: token, MINE: own };

/** A place with an env file, a recipe of ours, and the words that build it with both kinds of secrets. */
async function withSecrets(script: string) {
  const here = await place();
  await mkdir(join(here.directory, "source"));
  await writeFile(join(here.directory, "source/red.yaml"), ownRecipe("red", [script]));
  await writeFile(join(here.directory, "env"), `API_TOKEN=${token}\nPLAIN=open\nSORT_KEY=name\n`);
  const variables = ["--env-file=env", "--plain-env=SORT_KEY", "--secret-env=MINE"];
  const exporting = ["--export-on-failure", "--export-path=debug.tar", "--export-compression=none"];
  const args = ["build", "source/red.yaml", "--base", (await busyboxRoot()).tar, ...variables, ...exporting];
  return { here, failed: await here.run([...args, "--progress=plain"], { env: { MINE: own } }) };
}

describe("secrets of a step", () => {
  it.concurrent("are there, and stay out of log, record, image and everything that is kept", async (test) => {
    program(test, "skopeo");
    const told = 'echo "it is $API_TOKEN and $MINE"; echo "$API_TOKEN" | sha256sum';
    const { here, failed } = await withSecrets(`${told}; test "$PLAIN,$SORT_KEY" = open,name && exit 7`);
    await using _ = here;
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("   1| it is *** and ***\n");
    const { config } = await configOf(join(here.directory, "debug.tar"));
    expect(config.Env).toEqual(expect.arrayContaining(["PLAIN=open", "SORT_KEY=name"]));
    expect(config.Env.filter((one) => /^(API_TOKEN|MINE)=/.test(one))).toEqual([]);
    const archive = await readFile(join(here.directory, "debug.tar"));
    for (const value of values) {
      expect(failed.stderr).not.toContain(value);
      expect(archive.includes(value)).toBe(false);
      expect(await here.shell(`grep -r -a -l -F ${value} state`)).toMatchObject({ code: 1, stdout: Buffer.from("") });
    }
  });

  it.concurrent("come before every variable of their name, which is nowhere", async (test) => {
    program(test, "skopeo");
    const here = await place();
    await using _ = here;
    await mkdir(join(here.directory, "source"));
    const told = 'echo "$MINE" | sha256sum; exit 7';
    const recipe = ownRecipe("red", [told]).replace(
      "pipeline:",
      "environment:\n  environment: {MINE: recipe}\npipeline:",
    );
    await writeFile(join(here.directory, "source/red.yaml"), recipe);
    await writeFile(join(here.directory, "env"), `MINE=${own}\n`);
    const variables = ["--env-file=env", "--plain-env=MINE", "--secret-env=MINE"];
    const exporting = ["--export-on-failure", "--export-path=debug.tar", "--export-compression=none"];
    const args = ["build", "source/red.yaml", "--base", (await busyboxRoot()).tar, ...variables, ...exporting];
    const failed = await here.run([...args, "--progress=plain"], { env: { MINE: own } });
    expect(failed.code, failed.stderr).toBe(1);
    expect(failed.stderr).toContain(createHash("sha256").update(`${own}\n`).digest("hex"));
    const { config } = await configOf(join(here.directory, "debug.tar"));
    expect(config.Env.filter((one) => one.startsWith("MINE="))).toEqual([]);
    expect((await readFile(join(here.directory, "debug.tar"))).includes(own)).toBe(false);
    expect(await here.shell(`grep -r -a -l -F ${own} state`)).toMatchObject({ code: 1, stdout: Buffer.from("") });
  });

  it.concurrent("are needed again to run it again", async () => {
    const { here } = await withSecrets(
      'case "$API_TOKEN,$MINE" in t0ken-of*env-file,s3cret-of*environment) exit 7 ;; esac',
    );
    await using _ = here;
    const without = await here.run(["debug", "rerun"], { env: { MINE: own } });
    expect(without.code).toBe(2);
    expect(without.stderr).toContain("needs secrets that are not set: API_TOKEN\n");
    expect((await here.run(["debug", "rerun"], { env: secrets })).code).toBe(7);
  });

  it.concurrent("in a file of the state refuse its export, now and later, until they are allowed", async () => {
    const { here, failed } = await withSecrets('mkdir deep; echo "x$MINE" > deep/leaked; exit 7');
    await using _ = here;
    const archive = join(here.directory, "debug.tar");
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("the export (tarball) failed: a secret's value would be in the image, in 1 file");
    expect(failed.stderr).toContain("/home/build/deep/leaked");

    const exporting = ["debug", "export", "--export-path=debug.tar"];
    const unsearchable = await here.run(exporting, { env: { API_TOKEN: token } });
    expect(unsearchable.code).toBe(2);
    expect(unsearchable.stderr).toContain("cannot be searched for secrets that are not set: MINE");
    expect((await here.run(exporting, { env: secrets })).code).toBe(4);
    expect(existsSync(archive)).toBe(false);

    // As it was before the step, the state holds none.
    expect((await here.run([...exporting, "--capture=last-good"], { env: secrets })).code).toBe(0);

    const allowed = await here.run(["debug", "export", "--export-path=-", "--export-compression=none"], {
      env: { ...secrets, MELANGE2_EXPORT_ALLOW_SECRETS: "true" },
    });
    expect(allowed.code, allowed.stderr).toBe(0);
    expect([`x${own}`, '"secretsAllowed"'].map((piece) => allowed.stdout.includes(piece))).toEqual([true, true]);
  });
});
