import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("src/gen is what the generator makes of proto", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const output = mkdtempSync(join(tmpdir(), "melange2-generated-"));
  try {
    const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH}` };
    execFileSync("buf", ["generate", "--output", output], { cwd: root, env });
    const made = readdirSync(join(output, "src/gen"));
    expect(readdirSync(join(root, "src/gen"))).toEqual(made);
    for (const name of made) {
      expect(readFileSync(join(root, "src/gen", name), "utf8")).toBe(
        readFileSync(join(output, "src/gen", name), "utf8"),
      );
    }
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
});
