import { existsSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makePackage } from "@melange2-tooling/fixtures/apk-packages";
import { program, provided } from "@melange2-tooling/services";
import { describe, expect, it, vi } from "vitest";
import { daemons, onBuildkit } from "./daemons.ts";
import { distribution, keyName, serve, tool } from "./distribution.ts";
import { docker, unpackedByOthers } from "./judges.ts";
import { arch, type Place, place } from "./melange2.ts";
import { identities, userOf } from "./users.ts";

// Environments made of packages: no base is named anywhere here but where it says so.
vi.setConfig({ testTimeout: 180_000 });

const recipe = (repository: string, packages: string, steps: readonly string[]) => `package:
  name: made
  version: 1.0.0
  epoch: 0
  description: made in packages
environment:
  contents:
    repositories: [${repository}]
    keyring: [${keyName}]
    packages: [${packages}]
pipeline:
${steps.map((step) => `  - runs: ${JSON.stringify(step)}\n`).join("")}`;

async function inPackages(here: Place, steps: readonly string[], packages = "busybox, tool"): Promise<void> {
  await (await distribution()).write(here.directory);
  await writeFile(join(here.directory, "made.yaml"), recipe("./os", packages, steps));
}

describe("a recipe without a base", () => {
  it.for(identities)("builds, as %s", async (who, test) => {
    await using here = await place(userOf(test, who));
    const out = `"\${{targets.destdir}}/out"`;
    await inPackages(here, [`tool > ${out}; stat -c '%U %a' /tmp >> ${out}`]);
    const ended = await here.run(["build", "made.yaml"]);
    expect(ended.code, ended.stderr).toBe(0);
    expect(await readFile(join(here.directory, "packages", arch, "made/out"), "utf8")).toBe("tool 1.0-r0\nroot 1777\n");
  });

  it("fails in a step, and its image holds the database of its packages; others load and run it", async (test) => {
    const socket = provided(test, "MELANGE2_TEST_DOCKER28");
    program(test, "docker");
    await using here = await place();
    await inPackages(here, ["echo partial > partial; tool; exit 7"]);
    const failed = await here.run(["build", "made.yaml", "--export-on-failure", "--export-path=debug.tar"]);
    expect(failed.code, failed.stderr).toBe(1);

    await using image = await unpackedByOthers(join(here.directory, "debug.tar"));
    expect(await image.text("home/build/partial")).toBe("partial\n");
    const database = await image.text("usr/lib/apk/db/installed");
    expect(database.match(/^P:.*$/gm)).toEqual(["P:layout", "P:busybox", "P:libthing", "P:tool"]);
    expect(await image.text("etc/apk/world")).toBe("busybox=1.0-r0\nlayout=1.0-r0\nlibthing=1.0-r0\ntool=1.0-r0\n");
    expect(await image.list("etc/apk/keys")).toEqual([keyName]);

    await using daemon = docker(socket);
    const loaded = await daemon.load(join(here.directory, "debug.tar"));
    expect(
      await daemon.run(loaded, [
        "/bin/sh",
        "-c",
        "tool; ls -l /etc/shadow | cut -c1-10; cat /lib/apk/db/installed | grep -c ^P:",
      ]),
    ).toMatchObject({
      code: 0,
      stdout: "tool 1.0-r0\n-rw-r-----\n4\n",
    });

    const shell = await here.run(["debug", "shell", "--", "cat", "/lib/apk/db/installed"]);
    expect(shell.stdout.toString()).toBe(database);
    const shown = await here.run(["debug", "show", "--packages"]);
    expect(shown.stdout.toString()).toMatch(/^environment build:\n {2}layout=1\.0-r0 {2}\(from .*os\/.*\)\n/);
  });

  it.for(daemons)("builds and fails the same on $name", async (daemon, test) => {
    await using here = await place();
    await inPackages(here, ["tool > one; exit 7"]);
    const env = onBuildkit(test, daemon);
    const failed = await here.run(
      ["build", "made.yaml", "--no-network", "--export-on-failure", "--export-path=debug.tar"],
      { env },
    );
    expect(failed.code, failed.stderr).toBe(1);
    await using image = await unpackedByOthers(join(here.directory, "debug.tar"));
    expect(await image.text("home/build/one")).toBe("tool 1.0-r0\n");
    expect((await image.text("lib/apk/db/installed")).match(/^P:/gm)).toHaveLength(4);
  });

  it("is refused where it names no repositories, with both ways to go on", async () => {
    await using here = await place();
    await writeFile(
      join(here.directory, "none.yaml"),
      recipe("./os", "busybox", ["true"]).replace(/environment:[\s\S]*(?=pipeline)/, ""),
    );
    const ended = await here.run(["build", "none.yaml"]);
    expect(ended).toMatchObject({ code: 2 });
    expect(ended.stderr).toMatch(/--base.*\n.*--base PATH.*--repository-append.*--keyring-append/);
  });
});

it.for(["python-as-wrapper", "microvm-observability-hook", "pax-utils-bootstrap", "font-xorg", "wolfi-keys"])(
  "the real recipe %s builds as it stands, in packages of a repository that flags name",
  async (name, test) => {
    const corpus = provided(test, "MELANGE2_TEST_CORPUS_RECIPES");
    await using here = await place();
    await (await distribution()).write(here.directory);
    await cp(join(corpus, "recipes", `${name}.yaml`), join(here.directory, `${name}.yaml`));
    const source = join(corpus, "recipes", name);
    if (existsSync(source)) await cp(source, join(here.directory, name), { recursive: true });
    const pipelines = join(corpus, "pipelines");
    const repository = ["-r", "./os", "-k", keyName];
    const built = await here.run(["build", `${name}.yaml`, "--pipeline-dir", pipelines, ...repository]);
    expect(built.code, built.stderr).toBe(0);
    expect(built.stderr).not.toContain("lacks packages");
  },
);

describe("packages over the network", () => {
  it("are fetched once, and then taken from the cache, also offline and when the repository is gone", async () => {
    await using here = await place();
    await (await distribution()).write(here.directory);
    {
      await using server = await serve(here.directory);
      await writeFile(join(here.directory, "made.yaml"), recipe(`${server.url}/os`, "busybox, tool", ["tool"]));
      for (const _ of [1, 2]) expect((await here.run(["build", "made.yaml"])).code).toBe(0);
      expect(server.asked.filter((path) => path.endsWith(".apk"))).toHaveLength(4);
    }
    expect((await here.run(["build", "made.yaml", "--offline"])).code).toBe(0);
    const gone = await here.run(["build", "made.yaml"]);
    expect(gone.code).toBe(2);
    expect(gone.stderr).toMatch(
      /APKINDEX\.tar\.gz cannot be fetched: nobody listens there \(4 attempts\)\n {2}hint: .*--offline/,
    );
  });

  it("come with credentials that stay out of image, record and lock file", async () => {
    await using here = await place();
    await (await distribution()).write(here.directory);
    await using server = await serve(here.directory);
    const url = server.url.replace("//", "//somebody:hunter22@");
    await writeFile(join(here.directory, "made.yaml"), recipe("./os", "busybox, tool", ["exit 7"]).replace("./os", ""));
    const flags = ["-r", `${url}/os`];
    const locked = await here.run(["environment", "made.yaml", ...flags, "--lock-file", "lock.json"]);
    expect(locked.code, locked.stderr).toBe(0);
    const failed = await here.run(["build", "made.yaml", ...flags, "--export-on-failure", "--export-path=debug.tar"]);
    expect(failed.code, failed.stderr).toBe(1);
    await using image = await unpackedByOthers(join(here.directory, "debug.tar"));
    const texts = [
      await image.text("etc/apk/repositories"),
      locked.stderr,
      failed.stderr,
      await readFile(join(here.directory, "lock.json"), "utf8"),
      await image.text(".melange2/record.json"),
      (await here.run(["debug", "show", "--json"])).stdout.toString(),
    ];
    for (const text of texts) expect(text).not.toContain("hunter22");
  });

  it.each([
    [
      "a name that nobody has",
      "busybox, tol",
      /no package is called or provides tol[\s\S]*names like it: tool, cmd:tool[\s\S]*hint: Correct the name, as in tool/,
    ],
    ["a version that nobody has", "busybox, tool>9", /tool>9[\s\S]*tool-1\.0-r0/],
  ])("that cannot be resolved are explained: %s", async (_, packages, text) => {
    await using here = await place();
    await inPackages(here, ["true"], packages);
    const ended = await here.run(["build", "made.yaml"]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(text);
  });

  it("that were changed are refused before a step", async () => {
    await using here = await place();
    await inPackages(here, ["true"]);
    const other = tool("1.0-r0", "#!/bin/sh\necho evil\n");
    await writeFile(join(here.directory, "os", arch, other.file), other.bytes);
    const ended = await here.run(["build", "made.yaml"]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/tool-1\.0-r0 of .* is not as it should be: .*SHA-1/);
  });

  it("of an index that a stranger signed are refused, and taken loudly where signatures are to be ignored", async () => {
    await using here = await place();
    await inPackages(here, ["tool"]);
    await writeFile(
      join(here.directory, "made.yaml"),
      recipe("./os", "busybox, tool", ["tool"]).replace(/ {4}keyring.*\n/, ""),
    );
    const refused = await here.run(["build", "made.yaml"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("no key is known");
    expect((await here.run(["build", "made.yaml", "-k", keyName])).code).toBe(0);
    const taken = await here.run(["build", "made.yaml", "--ignore-signatures"]);
    expect(taken.code, taken.stderr).toBe(0);
    expect(taken.stderr).toMatch(/warning: package indexes are taken whoever signed them/);
  });
});

describe("environment", () => {
  it("lists, locks, exports and is entered without a build", async () => {
    await using here = await place();
    await inPackages(here, ["exit 1"]);
    const listed = await here.run(["environment", "made.yaml", "--lock-file", "lock.json"]);
    expect(listed).toMatchObject({
      code: 0,
      stdout: Buffer.from("layout=1.0-r0\nbusybox=1.0-r0\nlibthing=1.0-r0\ntool=1.0-r0\n"),
    });
    const inside = await here.run(["environment", "made.yaml", "--", "/bin/sh", "-c", "pwd; tool; exit 9"]);
    expect(inside).toMatchObject({ code: 9, stdout: Buffer.from("/home/build\ntool 1.0-r0\n") });
    const exported = await here.run(["environment", "made.yaml", "--export", "--export-path=environment.tar"]);
    expect(exported.code, exported.stderr).toBe(0);
    await using image = await unpackedByOthers(join(here.directory, "environment.tar"));
    expect(await image.list("home")).toEqual(["build"]);
    expect(await image.text("usr/bin/tool")).toContain("tool 1.0-r0");
  });

  it.each([
    [["--export-path=x.tar"], /nothing is exported without --export: --export-path/],
    [["--shell", "--json"], /cannot be exported or printed as JSON/],
    [["--test", "made"], /the package "made" has no test/],
    [["-r", "ftp://x/y"], /ftp is not supported/],
    [["-k", "nothing.pub"], /nothing\.pub cannot be read/],
  ])("refuses what cannot be: %j", async (words, text) => {
    await using here = await place();
    await inPackages(here, ["true"]);
    const ended = await here.run(["environment", "made.yaml", ...words]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(text);
  });

  it("locked, stays what it was, while others move on; for another recipe its lock is refused", async () => {
    await using here = await place();
    await inPackages(here, ["tool; exit 1"]);
    expect((await here.run(["environment", "made.yaml", "--lock-file", "lock.json"])).code).toBe(0);
    await (await distribution()).with(tool("2.0-r0")).write(here.directory);
    expect((await here.run(["build", "made.yaml", "--lock-file", "lock.json"])).stderr).toContain("tool 1.0-r0");
    expect((await here.run(["build", "made.yaml"])).stderr).toContain("tool 2.0-r0");

    const kept = (await here.json(["debug", "ls"])).value as { readonly builds: readonly { readonly id: string }[] };
    const [young = "", old = ""] = kept.builds.map(({ id }) => id);
    const compared = await here.run(["debug", "packages", old, young]);
    expect(compared.stdout.toString()).toMatch(/^~ tool 1\.0-r0 -> 2\.0-r0 {2}\(from .*\)\n$/);

    await writeFile(join(here.directory, "made.yaml"), recipe("./os", "busybox", ["true"]));
    const other = await here.run(["build", "made.yaml", "--lock-file", "lock.json"]);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(
      /lock\.json cannot be used: it was made for other packages[\s\S]*hint: Write it again/,
    );
  });
});

it("a base that has an apk database gets the packages that it lacks", async () => {
  await using here = await place();
  await inPackages(here, ["true"], "busybox");
  expect((await here.run(["environment", "made.yaml", "--export", "--export-path=base.tar"])).code).toBe(0);
  await writeFile(
    join(here.directory, "made.yaml"),
    recipe("./os", "busybox, tool", ["tool; grep ^P: /lib/apk/db/installed; exit 1"]),
  );
  const ended = await here.run(["build", "made.yaml", "--base", "base.tar"]);
  expect(ended.stderr).toMatch(/tool 1\.0-r0\n[\s\S]*P:layout\n[\s\S]*P:busybox\n[\s\S]*P:libthing\n[\s\S]*P:tool\n/);
  expect(ended.code).toBe(1);
});

it("two packages with one path are named, and nothing is built", async () => {
  await using here = await place();
  const clash = makePackage({ name: "clash", arch, files: [{ name: "usr/bin/tool", content: "other" }] });
  await (await distribution()).with(clash).write(here.directory);
  await writeFile(join(here.directory, "made.yaml"), recipe("./os", "busybox, tool, clash", ["true"]));
  const ended = await here.run(["build", "made.yaml"]);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toMatch(
    /(?:tool|clash)-1\.0-r0 has a file at \/usr\/bin\/tool, where (?:tool|clash)-1\.0-r0 has a file/,
  );
});
