import { expect, test } from "vitest";
import { comparePackages } from "./compare-packages.ts";

const record = (packages: readonly (readonly [name: string, version: string, checksum?: string])[]) => ({
  environments: {
    build: {
      layers: [],
      packages: packages.map(([name, version, checksum]) => ({ name, version, ...(checksum ? { checksum } : {}) })),
    },
  },
});

test("packages that came, went, changed or were published anew differ", () => {
  const before = record([
    ["same", "1", "aa"],
    ["gone", "1"],
    ["newer", "1"],
    ["again", "1", "aa"],
  ]);
  const after = record([
    ["again", "1", "bb"],
    ["came", "1"],
    ["newer", "2"],
    ["same", "1", "aa"],
  ]);
  expect(comparePackages(before, after).map(({ name, before: a, after: b }) => [name, a?.version, b?.version])).toEqual(
    [
      ["again", "1", "1"],
      ["came", undefined, "1"],
      ["gone", "1", undefined],
      ["newer", "1", "2"],
    ],
  );
});

test("an environment whose packages are not known differs in those of the other build", () => {
  expect(comparePackages({ environments: { build: { layers: [] } } }, record([["a", "1"]]))).toHaveLength(1);
  expect(comparePackages({ environments: {} }, { environments: {} })).toEqual([]);
});
