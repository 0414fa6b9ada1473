import { expect, test } from "vitest";
import { parseChallenges } from "./challenge.ts";

test.for([
  ['Basic realm="x"', [{ scheme: "basic", parameters: { realm: "x" } }]],
  [
    'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
    [
      {
        scheme: "bearer",
        parameters: {
          realm: "https://auth.example/token",
          service: "registry.example",
          scope: "repository:a/b:pull,push",
        },
      },
    ],
  ],
  [
    'Negotiate, Basic realm="a, b" , BEARER Realm=plain,error="insufficient_scope"',
    [
      { scheme: "negotiate", parameters: {} },
      { scheme: "basic", parameters: { realm: "a, b" } },
      { scheme: "bearer", parameters: { realm: "plain", error: "insufficient_scope" } },
    ],
  ],
  ['Basic realm="say \\"x\\""', [{ scheme: "basic", parameters: { realm: 'say "x"' } }]],
  ["", []],
  ['realm="no scheme"', []],
  ['Bearer realm="never closed', [{ scheme: "bearer", parameters: {} }]],
] as const)("%s", ([header, challenges]) => {
  expect(parseChallenges(header)).toEqual(challenges);
});
