import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { directoryTree } from "./directory.ts";

it("does not follow a symlink that has taken the place of a file", async () => {
  const root = mkdtempSync(join(tmpdir(), "melange2-buildkit-directory-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, "file"), "mine");
  const [entry] = await Array.fromAsync(directoryTree(root).entries({ enter: () => true }));
  if (entry?.type !== "file") return expect.fail("no file");
  expect(Buffer.concat(await Array.fromAsync(entry.open())).toString()).toBe("mine");
  rmSync(join(root, "file"));
  writeFileSync(join(root, "other"), "else");
  symlinkSync("other", join(root, "file"));
  await expect(Array.fromAsync(entry.open())).rejects.toMatchObject({ code: "ELOOP" });
});
