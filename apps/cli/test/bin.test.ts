import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { program } from "./melange2.ts";

it("an --env-file is melange2's, although node has a flag of that name", async () => {
  const started = promisify(execFile)(program, ["build", "pkg.yaml", "--env-file", "there-is-none.env"]);
  await expect(started).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--env-file there-is-none.env cannot be read"),
  });
});
