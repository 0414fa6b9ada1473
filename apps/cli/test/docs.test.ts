import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { bytesOf } from "@melange2/oci";
import { checkManifest } from "@melange2/plugin-host";
import { captureSuite, exporterSuite, randomDebugImage, readImageArchive, testExportContext } from "@melange2/testkit";
import { repositoryRoot, run } from "@melange2-tooling/machine";
import { describe, expect, test } from "vitest";
import again from "./samples/again.ts";
import put from "./samples/put.ts";

// What docs/ shows is what stands here, and works.

const template = join(repositoryRoot, "apps/cli/template/exporter");
const read = (...path: readonly string[]) => readFileSync(join(repositoryRoot, ...path), "utf8");

test.each([
  ["writing-an-exporter.md", "apps/cli/template/exporter/src/index.js", "js"],
  ["writing-an-exporter.md", "apps/cli/template/exporter/test/exporter.test.js", "js"],
  ["writing-an-exporter.md", "apps/cli/test/samples/put.ts", "ts"],
  ["writing-a-capture-strategy.md", "apps/cli/test/samples/again.ts", "ts"],
  ["writing-a-capture-strategy.md", "apps/cli/test/samples/again.suite.ts", "ts"],
])("docs/%s shows %s as it is", (page, file, language) => {
  expect(read("docs", page)).toContain(`\`\`\`${language}\n${read(file)}\`\`\`\n`);
});

test.each(["writing-an-exporter.md", "writing-a-capture-strategy.md"])("the manifests in docs/%s are right", (page) => {
  const manifests = [...read("docs", page).matchAll(/```json\n(.*?)```/gs)].map(([, text = ""]) => JSON.parse(text));
  expect(manifests.length).toBeGreaterThan(0);
  for (const { oclif, melange2 } of manifests) {
    expect(oclif).toEqual({});
    expect(checkManifest(melange2)).toEqual({ manifest: melange2 });
  }
});

const nodeTest = (cwd: string, ...files: readonly string[]) =>
  run([process.execPath, "--conditions=melange2-source", "--test", ...files], { cwd, env: { NODE_OPTIONS: "" } });

test("the suite of a capture strategy runs under node:test", { timeout: 60_000 }, async () => {
  expect(await nodeTest(join(import.meta.dirname, "samples"), "again.suite.ts")).toMatch(/^. fail 0$/m);
});

test("the exporter that plugins create writes passes its own test and the type check", {
  timeout: 60_000,
}, async () => {
  expect(await nodeTest(template)).toMatch(/^. fail 0$/m);
  const sources = ["--customConditions", "melange2-source", "--allowImportingTsExtensions", "--skipLibCheck"];
  const library = ["--lib", "es2024,esnext.disposable,esnext.array"];
  await run(["tsc", "-p", template, ...sources, ...library]);
});

describe("the capture strategy", () => captureSuite({ test, strategy: again }));

describe("the exporter that uploads", () =>
  exporterSuite({
    test,
    exporter: put,
    async subject() {
      const stored = new Map<string, Buffer>();
      const server = createServer(async (request, response) => {
        const chunks: Buffer[] = [];
        try {
          for await (const chunk of request) chunks.push(chunk);
        } catch {
          return; // cut off: not stored
        }
        if (request.method === "PUT") stored.set(request.url ?? "", Buffer.concat(chunks));
        response.end();
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address() as AddressInfo;
      return {
        options: { url: `http://127.0.0.1:${port}/{package}`, ref: "debug:{build}" },
        async arrived() {
          const archive = stored.get("/hello");
          return archive && readImageArchive(bytesOf(archive));
        },
        async [Symbol.asyncDispose]() {
          server.closeAllConnections();
          await new Promise((resolve) => server.close(resolve));
        },
      };
    },
    refused: {
      "no URL": (options) => ({ ...options, url: "somewhere" }),
      "a URL of another kind": (options) => ({ ...options, url: "ftp://127.0.0.1/x" }),
      "a name that no image can have": (options) => ({ ...options, ref: "Debug:x" }),
    },
  }));

test.each([10_000, 3_000_000])("the exporter that uploads %i bytes is told of an early refusal", async (size) => {
  const server = createServer((_, response) => {
    response.writeHead(401).end(); // The body is never read.
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  try {
    const options = { url: `http://127.0.0.1:${port}/x`, ref: "debug:{build}" };
    const prepared = await put.prepare(options, testExportContext());
    const exporting = {
      signal: new AbortController().signal,
      failure: { build: "b-1", step: "main-1" },
      onProgress: () => {},
    };
    const image = randomDebugImage({ bytes: size });
    await expect(prepared.export(image, exporting)).rejects.toMatchObject({
      code: "export",
      message: expect.stringContaining("it says 401"),
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
