import { expect, test } from "vitest";
import { checkManifest, type Manifest } from "./manifest.ts";

const entry = { types: "./dist/index.d.ts", default: "./dist/index.js" };
const good: Manifest = {
  name: "@melange2/sample",
  version: "0.0.0",
  description: "A sample",
  license: "Apache-2.0",
  type: "module",
  engines: { node: ">=22" },
  exports: { ".": { "melange2-source": "./src/index.ts", ...entry }, "./package.json": "./package.json" },
  files: ["dist"],
  publishConfig: { access: "public", exports: { ".": entry, "./package.json": "./package.json" } },
  scripts: { build: "tsup" },
  dependencies: { "@melange2/core": "workspace:*", yaml: "2.9.1" },
};

test("a uniform manifest has no problem", () => {
  expect(checkManifest(good)).toEqual([]);
});

test("all problems are told together", () => {
  const { license: _, ...unlicensed } = good;
  expect(checkManifest({ ...unlicensed, engines: { node: ">=20" }, main: "./dist/index.js" })).toEqual([
    "unknown field main",
    "lacks license",
    'license is undefined and should be "Apache-2.0"',
    'engines is {"node":">=20"} and should be {"node":">=22"}',
  ]);
});

test("a field out of order is named with the one that belongs there", () => {
  const { name, version, ...rest } = good;
  expect(checkManifest({ version, name, ...rest })).toEqual(["version where name should be"]);
});

test("sources must not be published", () => {
  const published = { access: "public", ...(good.exports ? { exports: good.exports } : {}) };
  expect(checkManifest({ ...good, publishConfig: published })).toEqual([
    expect.stringMatching(/^publishConfig\.exports should be exports without melange2-source/),
  ]);
});

test("dependencies are exact, workspace ones are linked, all are sorted", () => {
  const dependencies = { yaml: "^2.9.1", "@melange2/core": "0.0.0" };
  expect(checkManifest({ ...good, dependencies })).toEqual([
    "dependencies are not sorted by name",
    "dependencies: yaml is ^2.9.1 and should be exact",
    "dependencies: @melange2/core is 0.0.0 and should be workspace:*",
  ]);
});
