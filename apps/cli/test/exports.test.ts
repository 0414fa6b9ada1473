import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { program } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { configOf } from "./judges.ts";
import { arch, type Place, place } from "./melange2.ts";
import { ownRecipe } from "./own-recipe.ts";

// On a busy machine each call of melange2 takes seconds.
vi.setConfig({ testTimeout: 120_000 });

/** A place with a recipe of ours that fails in its second step, and the words that build it. */
async function red(scripts: readonly string[] = ["echo one > one", "exit 7"]) {
  const here = await place();
  await mkdir(join(here.directory, "source"));
  await writeFile(join(here.directory, "source/red.yaml"), ownRecipe("red", scripts));
  return { here, build: ["build", "source/red.yaml", "--base", (await busyboxRoot()).tar] };
}

/** What GNU tar finds in a file of an archive. */
const inside = async (here: Place, archive: string, file: string): Promise<unknown> =>
  JSON.parse((await here.shell(`tar -xOf ${archive} ${file}`)).stdout.toString());

const sha256 = async (here: Place, name: string) =>
  createHash("sha256")
    .update(await readFile(join(here.directory, name)))
    .digest("hex");

describe("an export", () => {
  it.concurrent("takes every flag from the environment", async (test) => {
    program(test, "skopeo");
    const { here, build } = await red();
    await using _ = here;
    const failed = await here.run(build, {
      env: {
        MELANGE2_EXPORT_ON_FAILURE: "true",
        MELANGE2_EXPORT_TYPE: "tarball",
        MELANGE2_EXPORT_PATH: "from-env.tar",
        MELANGE2_EXPORT_REF: "from-env:debug",
        MELANGE2_EXPORT_COMPRESSION: "none",
        MELANGE2_CAPTURE: "last-good",
      },
    });
    expect(failed.code, failed.stderr).toBe(1);
    const archive = join(here.directory, "from-env.tar");
    expect((await configOf(archive)).config.Labels).toMatchObject({ "melange2.capture": "last-good" });
    expect(await inside(here, archive, "manifest.json")).toMatchObject([{ RepoTags: ["from-env:debug"] }]);
    const index = (await inside(here, archive, "index.json")) as { manifests: { digest: string }[] };
    const manifest = `blobs/${index.manifests[0]?.digest.replace(":", "/")}`;
    const { layers } = (await inside(here, archive, manifest)) as { layers: { mediaType: string }[] };
    expect(new Set(layers.map(({ mediaType }) => mediaType))).toEqual(
      new Set(["application/vnd.oci.image.layer.v1.tar"]),
    );
  });

  it.concurrent("that nobody asked for is nothing that variables could get wrong", async () => {
    const { here, build } = await red();
    await using _ = here;
    const env = { MELANGE2_EXPORT_TYPE: "fax", MELANGE2_EXPORT_OPT: "nonsense", MELANGE2_CAPTURE: "first-good" };
    const failed = await here.run(build, { env });
    expect(failed.code, failed.stderr).toBe(1);
    expect(failed.stderr).toContain("=> step 2/2 FAILED");
  });

  it.concurrent("fills in names, in paths and references", async () => {
    const { here, build } = await red();
    await using _ = here;
    const path = "{package}_{version}_{arch}_{step}_{build}.tar";
    const ref = "debug/{package}:{version}-{arch}-{step}-{build}";
    const env = { MELANGE2_EXPORT_OPT: `ref=${ref}\npath=not-this.tar\ncompression=none` };
    const { value } = await here.json([...build, "--export-on-failure", "--export-path", path], { env });
    const { build: id } = value as { build: string };
    const archive = `red_1.0-r0_${arch}_main-1_${id}.tar`;
    expect(await readdir(here.directory)).toContain(archive);
    expect(await inside(here, join(here.directory, archive), "manifest.json")).toMatchObject([
      { RepoTags: [`debug/red:1.0-r0-${arch}-main-1-${id}`] },
    ]);
  });

  it.concurrent("has a name of its own where none is given, and never loses an older one", async () => {
    const { here, build } = await red();
    await using _ = here;
    await here.run([...build, "--export-on-failure"]);
    const name = (number: string) => `melange2-debug-red-1.0-r0-${arch}${number}.tar`;
    const digest = await sha256(here, name(""));
    const second = await here.run([...build, "--export-on-failure"]);
    expect(second.stderr).toContain(`The file that was ${join(here.directory, name(""))} before is now`);
    expect(await sha256(here, name(".1"))).toBe(digest);
    expect(await sha256(here, name(""))).not.toBe(digest);
  });

  it.concurrent("leaves the base, and what was built and exported before, out of the source, and so the cache whole", async () => {
    const { here } = await red();
    await using _ = here;
    const source = join(here.directory, "source");
    await writeFile(join(source, "red.yaml"), ownRecipe("red", ["find . -type f", "exit 7"]));
    const env = { MELANGE2_STATE_DIR: join(source, "state") };
    const base = "source/base.tar";
    await copyFile((await busyboxRoot()).tar, join(here.directory, base));
    const exporting = ["--export-on-failure", "--export-path=source/debug.tar"];
    const folders = ["--cache-dir=source/cache", "--out-dir=source/out"];
    const build = ["build", "source/red.yaml", "--base", base, ...exporting, ...folders];
    await mkdir(join(source, `out/${arch}/older`), { recursive: true });
    await writeFile(join(source, `out/${arch}/older/file`), "");
    await writeFile(join(source, "out/mine"), "");
    const first = await here.run(build, { env });
    expect(first.stderr.match(/^ {3}1\| .*$/gm)).toEqual(["   1| ./out/mine", "   1| ./red.yaml"]);
    await here.run(build, { env });
    await writeFile(join(source, ".melange2-0123456789abcdef.part"), "killed");
    const third = await here.run(
      build.filter((word) => !exporting.includes(word)),
      { env },
    );
    expect(await readdir(source)).toEqual(expect.arrayContaining(["debug.tar", "debug.1.tar", "state", "cache"]));
    expect(third.stderr).toContain("=> step 1/2 cached");
  });

  it.concurrent("that fails beside a failed step is told, keeps the 1, and works later by the printed command", async () => {
    const { here, build } = await red(["mkdir -p /var/cache/melange/out", "rm -r /var/cache/melange/out; exit 7"]);
    await using _ = here;
    await mkdir(join(here.directory, "cache/out"), { recursive: true });
    const words = [...build, "--cache-dir=cache", "--export-on-failure", "--export-path=cache/out/debug.tar"];
    const failed = await here.run(words);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("failed in step");
    expect(failed.stderr).toMatch(/the export \(tarball\) failed: .*cache\/out does not exist/);
    const again = /^ {4}try again: (.*)$/m.exec(failed.stderr)?.[1] ?? "";

    expect((await here.shell(again)).code).toBe(2);
    await mkdir(join(here.directory, "cache/out"));
    const exported = await here.shell(again);
    expect(exported.code, exported.stderr).toBe(0);
    expect(await readdir(join(here.directory, "cache/out"))).toEqual(["debug.tar"]);
  });
});

describe("a step", () => {
  it.concurrent("that takes longer than --step-timeout is stopped and its state captured", async () => {
    const { here, build } = await red(["echo half > partial; sleep 1000"]);
    await using _ = here;
    const failed = await here.run([...build, "--step-timeout=1"]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("timed out after 1 s");
    expect((await here.run(["debug", "cat", "partial"])).stdout.toString()).toBe("half\n");
  });

  it.concurrent("has the host's network, and none with --no-network", async () => {
    const { here, build } = await red([
      "readlink /proc/self/ns/net; tail -n +3 /proc/net/dev | cut -d: -f1 | tail -n 9; exit 7",
    ]);
    await using _ = here;
    const seen = async (...flags: string[]) => {
      const { value } = await here.json([...build, ...flags]);
      return (value as { failure: { lastLines: string[] } }).failure.lastLines.map((line) => line.trim());
    };
    const host = await readlink("/proc/self/ns/net");
    expect((await seen())[0]).toBe(host);
    const [own, ...interfaces] = await seen("--no-network");
    expect(own).toMatch(/^net:/);
    expect(own).not.toBe(host);
    expect(interfaces).toEqual(["lo"]);
  });

  it.concurrent("comes after the packages that the base lacks were named", async () => {
    const { here, build } = await red();
    await using _ = here;
    const wants = "environment:\n  contents:\n    packages: [busybox, gcc~13, so:libc.musl-x86_64.so.1]\n";
    await writeFile(join(here.directory, "source/red.yaml"), ownRecipe("red", ["exit 7"], wants));
    const database = "P:busybox\nV:1.36-r0\np:cmd:sh=1.36-r0\n\nP:musl\nV:1.2\np:so:libc.musl-x86_64.so.1=1\n\n";
    const add = `cp ${build.at(-1)} base.tar; mkdir -p lib/apk/db; printf '${database}' > lib/apk/db/installed; tar -rf base.tar lib`;
    await here.shell(add);
    const failed = await here.run([...build.slice(0, -1), "base.tar"]);
    const lines = failed.stderr.split("\n");
    const named = lines.findIndex((line) => line.endsWith("packages that the recipe asks for: gcc~13"));
    expect(named, failed.stderr).toBeGreaterThanOrEqual(0);
    expect(named).toBeLessThan(lines.findIndex((line) => line.startsWith("=> step 1")));
  });
});
