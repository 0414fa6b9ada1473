import { defineEngine, defineExporter, type Finding, MelangeError } from "@melange2/core";
import { scriptedEngine } from "@melange2/testkit";
import { expect, test } from "vitest";
import type { BuildHost } from "../host.ts";
import { partsOf } from "../parts.ts";
import { checkEngine, checkExporter } from "./check-parts.ts";

const { signal } = new AbortController();
const warning: Finding = { severity: "warning", message: "slow disk", hint: "Use a faster one." };

function hostWith(engine: () => readonly Finding[], env: Record<string, string> = {}): BuildHost {
  const factory = defineEngine({
    name: "own",
    contract: 1,
    summary: "for the test",
    options: { "own-addr": { type: "string", description: "where", pattern: "^unix:", env: "OWN_HOST" } },
    create: () => scriptedEngine({ findings: engine() }),
  });
  const shelf = defineExporter({
    name: "shelf",
    contract: 1,
    summary: "for the test",
    options: { path: { type: "string", description: "where", required: true } },
    prepare: async ({ path }) => ({
      destination: path,
      probe: async () => [{ severity: "error", message: `${path} is full`, hint: "Empty it." }],
      export: () => Promise.reject(new Error("never")),
    }),
  });
  const place = () => "/nowhere";
  return {
    places: { state: "/nowhere", builds: "/nowhere", bases: "/nowhere", packages: "/nowhere", engine: place },
    parts: partsOf({ engines: { own: factory }, exporters: [shelf] }),
    env,
    directory: "/",
    output: { unusable: "a test", hint: "None." },
    toolVersion: "0",
  };
}

test("an engine with warnings alone is usable", async () => {
  const result = await checkEngine("own", { host: hostWith(() => [warning]), signal });
  expect(result).toEqual({ kind: "engine", name: "own", usable: true, findings: [warning] });
});

test("an engine is told what the environment says, and what it refuses is a finding", async () => {
  const result = await checkEngine("own", { host: hostWith(() => [], { OWN_HOST: "tcp:1" }), signal });
  expect(result).toMatchObject({ usable: false, findings: [{ message: 'OWN_HOST: "tcp:1" does not fit ^unix:' }] });
});

test("an engine that breaks is a finding, and an interruption is none", async () => {
  const broken = hostWith(() => {
    throw new TypeError("oh");
  });
  expect(await checkEngine("own", { host: broken, signal })).toMatchObject({
    usable: false,
    findings: [{ message: "the check broke: oh" }],
  });
  const interrupted = hostWith(() => {
    throw new MelangeError("interrupted", "interrupted", { hint: "Start it again." });
  });
  await expect(checkEngine("own", { host: interrupted, signal })).rejects.toMatchObject({ code: "interrupted" });
});

test("a destination is looked at once its options say where it is", async () => {
  const nowhere = await checkExporter("shelf", { host: hostWith(() => []), signal });
  expect(nowhere).toEqual({ kind: "exporter", name: "shelf", findings: [], needs: ["path"] });
  const host = hostWith(() => [], { MELANGE2_EXPORT_PATH: "/shelf" });
  expect(await checkExporter("shelf", { host, signal })).toMatchObject({
    usable: false,
    findings: [{ message: "/shelf is full", hint: "Empty it." }],
  });
});
