import { expect, test } from "vitest";
import { parseAddress } from "./address.ts";

test.each(["unix://", "docker://"])("%s takes no path of a socket that the kernel does not", (scheme) => {
  const path = `/${"s".repeat(106)}`;
  expect(() => parseAddress(`${scheme}${path}`)).not.toThrow();
  expect(() => parseAddress(`${scheme}${path}s`)).toThrow(/longer than 107 bytes/);
  expect(() => parseAddress(`${scheme}/${"\u00fc".repeat(54)}`)).toThrow(/longer than 107 bytes/);
});
