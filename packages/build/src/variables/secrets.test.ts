import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readVariables } from "./secrets.ts";

const sources = { envFiles: [], plainNames: [], secretNames: [], shortNames: [], env: {} };

describe("readVariables", () => {
  test.each(["PATH", "IFS", "ENV", "LC_ALL", "LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES"])(
    "refuses %s as a secret without its value",
    async (name) => {
      const read = readVariables({ ...sources, secretNames: [name], env: { [name]: "the-value-itself" } });
      const error = await read.catch((cause: unknown) => cause);
      expect(error).toMatchObject({ code: "usage", message: `a secret cannot be called ${name}` });
      expect(JSON.stringify(error)).not.toContain("the-value-itself");
    },
  );

  test.each(["x", "x7", "x7y", " x7y\n"])("refuses %j, which is too short to be masked", async (value) => {
    const read = readVariables({ ...sources, secretNames: ["PIN"], env: { PIN: value } });
    const error = await read.catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "usage" });
    expect((error as Error).message).toContain("the secret PIN is too short");
    expect((error as Error).message).not.toMatch(new RegExp(`\\b${value.trim()}\\b`));
    const allowed = await readVariables({ ...sources, secretNames: ["PIN"], shortNames: ["PIN"], env: { PIN: value } });
    expect(allowed.secrets.get("PIN")).toBe(value);
  });

  test("takes an empty secret and one of four characters", async () => {
    const env = { EMPTY: "", FOUR: "abcd" };
    const { secrets } = await readVariables({ ...sources, secretNames: ["EMPTY", "FOUR"], env });
    expect(secrets.names).toEqual(["EMPTY", "FOUR"]);
  });

  test("refuses a short secret of a file, unless its name is plain", async () => {
    const folder = await mkdtemp(join(tmpdir(), "melange2-variables-"));
    try {
      const file = join(folder, "variables");
      await writeFile(file, "SORT_KEY=abc\n");
      await expect(readVariables({ ...sources, envFiles: [file] })).rejects.toMatchObject({ code: "usage" });
      const { plain } = await readVariables({ ...sources, envFiles: [file], plainNames: ["SORT_KEY"] });
      expect(plain).toEqual({ SORT_KEY: "abc" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("takes a plain variable that holds a secret for a secret", async () => {
    const folder = await mkdtemp(join(tmpdir(), "melange2-variables-"));
    try {
      const file = join(folder, "variables");
      await writeFile(file, "URL=https://u:abc%2Bdef@h/\nHOST=h\n");
      const env = { T: "abc+def" };
      const read = await readVariables({ ...sources, envFiles: [file], secretNames: ["T"], plainNames: ["URL"], env });
      expect(read.plain).toEqual({ HOST: "h" });
      expect(read.secrets.names).toEqual(["T", "URL"]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.each(["/dev/zero", "/dev/null", "/", "/nowhere"])("refuses %s as a file of variables", async (file) => {
    await expect(readVariables({ ...sources, envFiles: [file] })).rejects.toMatchObject({ code: "usage" });
  });

  test("refuses a FIFO that nobody writes to, and reads one that somebody does", async () => {
    const folder = await mkdtemp(join(tmpdir(), "melange2-variables-"));
    try {
      const file = join(folder, "fifo");
      execFileSync("mkfifo", [file]);
      await expect(readVariables({ ...sources, envFiles: [file] })).rejects.toMatchObject({ code: "usage" });
      const writer = writeFile(file, "A=1\n");
      // The writer waits for a reader; one that opens too early finds nobody.
      let read = await readVariables({ ...sources, envFiles: [file] }).catch(() => undefined);
      while (read === undefined) read = await readVariables({ ...sources, envFiles: [file] }).catch(() => undefined);
      await writer;
      expect(read.plain).toEqual({ A: "1" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
