import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { debugImageSpec, exportContext } from "../src/index.ts";
import { aRecord } from "./failed-record.ts";
import { environment } from "./plan-parts.ts";
import pipe from "./samples/pipe-exporter.ts";

const samples = new URL("samples/", import.meta.url);
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

describe("README", () => {
  test.each(readdirSync(samples))("shows %s as it is type-checked", (name) => {
    const text = readFileSync(new URL(name, samples), "utf8");
    expect(readme).toContain(`\`\`\`ts file=${name}\n${text}\`\`\``);
  });

  test("shows an exporter that delivers", async () => {
    const written: string[] = [];
    const context = exportContext({
      cwd: "/",
      env: {},
      runtimes: [],
      stdout: { write: async (chunk) => void written.push(new TextDecoder().decode(chunk)), close: async () => {} },
      package: "hello",
      version: "1.0-r0",
      arch: "x86_64",
    });
    const spec = debugImageSpec({
      record: aRecord(),
      capture: { strategy: "last-good", state: "before", reexecuted: 0, exact: true },
      environment,
      source: { text: "", copyName: "recipe.yaml" },
      log: new Uint8Array(),
      workspace: "/home/build",
    });
    const prepared = await pipe.prepare({ ref: "debug:{package}-{build}" }, context);
    const options = {
      signal: new AbortController().signal,
      failure: { build: "build-1", step: "b" },
      onProgress: () => {},
    };
    const receipt = await prepared.export(
      {
        spec,
        async deliver(target) {
          if (target.kind !== "archive") return undefined;
          await target.sink.write(new TextEncoder().encode(target.names.join()));
          return { imageId: "sha256:00", bytes: 5 };
        },
        open: () => Promise.reject(new TypeError("not needed")),
      },
      options,
    );
    expect(written).toEqual(["debug:hello-build-1"]);
    expect(receipt.open).toEqual([["docker", "run", "-it", "--rm", "debug:hello-build-1", "/bin/sh"]]);
    const unwilling = { spec, deliver: async () => undefined, open: () => Promise.reject(new TypeError("not needed")) };
    await expect(prepared.export(unwilling, options)).rejects.toMatchObject({ code: "engine" });
  });
});
