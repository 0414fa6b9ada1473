import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { program } from "./melange2.ts";

it.each(["--env-file", "--variables-file"])(
  "%s is melange2's, although node has a flag of the first name",
  async (flag) => {
    const started = promisify(execFile)(program, ["build", "pkg.yaml", flag, "there-is-none.env"]);
    await expect(started).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("variables file there-is-none.env cannot be read"),
    });
  },
);
