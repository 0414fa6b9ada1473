import { expect, test } from "vitest";
import { fromNodeError, isRefused } from "./node-errors.ts";

const failed = (code: string) => Object.assign(new Error(code), { code });

test.for([
  [failed("ECONNREFUSED"), true],
  [failed("ECONNRESET"), false],
  [failed("ENOTFOUND"), false],
  // Of a name with an address of IPv6, on a machine without a route to it.
  [Object.assign(new AggregateError([failed("ENETUNREACH"), failed("ECONNREFUSED")]), { code: "ENETUNREACH" }), true],
] as const)("%s: nobody listens there is %s", ([error, refused]) => {
  expect(isRefused(fromNodeError(error, "registry.example"))).toBe(refused);
});
