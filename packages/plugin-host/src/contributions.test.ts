import { isMelangeError } from "@melange2/core";
import { describe, expect, it } from "vitest";
import { collectContributions } from "./contributions.ts";
import { findContribution } from "./load.ts";
import type { PluginPackage } from "./manifest.ts";

function plugin(name: string, manifest: unknown, origin = "installed"): PluginPackage {
  return { name, version: "1.0.0", root: `/plugins/${name}`, origin, manifest };
}

describe("collectContributions", () => {
  it("finds what the manifests declare and ignores packages without one", () => {
    const { all, problems } = collectContributions([
      plugin("a", { contract: 1, exporters: { s3: "./dist/s3.js" }, captures: { freeze: "./dist/freeze.js" } }),
      plugin("b", undefined),
    ]);
    expect(problems).toEqual([]);
    expect(all.map((one) => [one.kind, one.name, one.module])).toEqual([
      ["captures", "freeze", "./dist/freeze.js"],
      ["exporters", "s3", "./dist/s3.js"],
    ]);
  });

  it("leaves a built-in name with its owner and names both", () => {
    const { all, problems } = collectContributions([
      plugin("evil", { contract: 1, exporters: { tarball: "./x.js" } }),
      plugin("@melange2/exporter-tarball", { contract: 1, exporters: { tarball: "./dist/index.js" } }, "built-in"),
    ]);
    expect(all.map((one) => one.plugin.name)).toEqual(["@melange2/exporter-tarball"]);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain("evil 1.0.0");
    expect(problems[0]?.message).toContain("@melange2/exporter-tarball 1.0.0");
  });

  it("gives a name that two plugins claim to neither", () => {
    const found = collectContributions([
      plugin("a", { contract: 1, exporters: { s3: "./a.js" } }),
      plugin("b", { contract: 1, exporters: { s3: "./b.js" } }),
    ]);
    expect(found.all).toEqual([]);
    expect(() => findContribution(found, "exporters", "s3")).toThrow(/a 1\.0\.0 .* b 1\.0\.0|b 1\.0\.0 .* a 1\.0\.0/);
  });

  it.each([
    [{ contract: 2, exporters: { s3: "./a.js" } }, /contract/],
    [{ contract: 1, exporters: { s3: "../a.js" } }, /inside the package/],
    [{ contract: 1, exporters: { s3: "/etc/passwd" } }, /inside the package/],
    [{ contract: 1, exporters: { S3: "./a.js" } }, /lowercase/],
    [{ contract: 1, exporter: {} }, /not known/],
    ["nonsense", /not an object/],
  ])("reports the broken manifest %j without using it", (manifest, message) => {
    const { all, problems } = collectContributions([plugin("a", manifest)]);
    expect(all).toEqual([]);
    expect(problems[0]?.message).toMatch(message);
  });

  it("names plugins that nobody could read when a name is unknown", () => {
    const { all, problems } = collectContributions([
      plugin("a", { contract: 1, exporters: { s3: "./a.js" } }),
      plugin("b", 7),
    ]);
    try {
      findContribution({ all, problems }, "exporters", "s4");
      expect.unreachable();
    } catch (error) {
      if (!isMelangeError(error)) throw error;
      expect(error.problems).toEqual([{ message: 'the plugin b cannot be used: "melange2" is not an object' }]);
    }
  });

  it("says what there is when a name is unknown", () => {
    const found = collectContributions([plugin("a", { contract: 1, exporters: { s3: "./a.js" } })]);
    expect(() => findContribution(found, "exporters", "s4")).toThrow(/no exporter "s4"/);
  });
});
