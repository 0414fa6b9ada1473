import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const samples = new URL("samples/", import.meta.url);
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

describe("README", () => {
  it.each(readdirSync(samples))("shows %s as it is type-checked and run", (name) => {
    const text = readFileSync(new URL(name, samples), "utf8");
    expect(readme).toContain(`\`\`\`ts file=${name}\n${text}\`\`\``);
    const output = execFileSync(process.execPath, ["--conditions=melange2-source", new URL(name, samples).pathname]);
    expect(output.length).toBeGreaterThan(200);
  });
});
