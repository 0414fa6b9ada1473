import { expect, test } from "vitest";
import { run } from "./run.ts";

test("gives the output, and hands over the input", async () => {
  expect(await run(["tr", "a-z", "A-Z"], { input: "text" })).toBe("TEXT");
});

test("a failure quotes the command and its last lines", async () => {
  await expect(run(["sh", "-c", "echo first; echo last >&2; exit 3"])).rejects.toThrow(
    /exit 3 ended with 3:\nfirst\nlast$/,
  );
});

test("a program that is not there is an error", async () => {
  await expect(run(["melange2-no-such-program"])).rejects.toThrow("ENOENT");
});
