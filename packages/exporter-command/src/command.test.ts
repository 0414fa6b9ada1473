import { spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DebugImage, type ExportContext, isMelangeError } from "@melange2/core";
import { exporterSuite, randomDebugImage, readImageArchive, testExportContext } from "@melange2/testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { command as exporter } from "./command.ts";

const defaults = { ref: "debug:{build}", compression: "gzip" as "none" | "gzip" | "zstd" };
/** What a command has to do that must not leave half an archive. */
const store = 'cat > "$TO.part" && mv "$TO.part" "$TO"';

describe("the suite for exporters", () =>
  exporterSuite({
    test,
    exporter,
    async subject() {
      const folder = await mkdtemp(join(tmpdir(), "melange2-command-"));
      const path = join(folder, "debug.tar");
      return {
        options: { ...defaults, command: store },
        context: { env: { ...process.env, TO: path } },
        async arrived() {
          const present = await stat(path).catch(() => undefined);
          return present && readImageArchive(createReadStream(path));
        },
        [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
      };
    },
    refused: {
      "no command": (options) => ({ ...options, command: "" }),
      "a blank command": (options) => ({ ...options, command: " \n" }),
      "a command with a NUL in it": (options) => ({ ...options, command: "cat\0" }),
      "a name that no image can have": (options) => ({ ...options, ref: "Debug:x" }),
      "an unknown compression": (options) => ({ ...options, compression: "xz" as "none" }),
    },
  }));

async function folderOfItsOwn(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "melange2-command-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

interface Piping {
  readonly image?: DebugImage;
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  readonly context?: Partial<ExportContext>;
  readonly compression?: "none" | "gzip" | "zstd";
}

async function piped(command: string, { image = randomDebugImage(), signal, cwd, context, compression }: Piping = {}) {
  const prepared = await exporter.prepare(
    { ...defaults, ...(compression === undefined ? {} : { compression }), command },
    testExportContext({ cwd: cwd ?? (await folderOfItsOwn()), env: process.env, ...context }),
  );
  return prepared.export(image, {
    signal: signal ?? new AbortController().signal,
    failure: { build: "b-7", step: "main-1" },
    onProgress: () => {},
  });
}

async function failureOf(promise: Promise<unknown>) {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!isMelangeError(error)) throw new Error(`rejected with ${error}`);
  return { code: error.code, message: error.message, lines: error.problems.map(({ message }) => message) };
}

test("starts nothing once it is interrupted", async () => {
  const cwd = await folderOfItsOwn();
  const failure = await failureOf(piped("touch started", { cwd, signal: AbortSignal.abort() }));
  expect([failure.code, await readdir(cwd)]).toEqual(["interrupted", []]);
});

test("runs in the working directory and tells the command about the image by its environment", async () => {
  const cwd = await folderOfItsOwn();
  await piped("cat >/dev/null; env | grep ^MELANGE2_ | grep -v ^MELANGE2_TEST | sort > told", {
    cwd,
    context: { package: "a'; touch injected; '", version: "$(touch injected)" },
  });
  expect(await readFile(join(cwd, "told"), "utf8")).toBe(
    [
      "MELANGE2_ARCH=x86_64",
      "MELANGE2_BUILD=b-7",
      "MELANGE2_IMAGE=debug:b-7",
      "MELANGE2_PACKAGE=a'; touch injected; '",
      "MELANGE2_STEP=main-1",
      "MELANGE2_VERSION=$(touch injected)",
      "",
    ].join("\n"),
  );
  expect(await readdir(cwd)).toEqual(["told"]);
});

test("fills nothing into the command: braces are the shell's", async () => {
  const cwd = await folderOfItsOwn();
  await piped(`cat >/dev/null; v={package}; echo "$v \${MELANGE2_PACKAGE}" > told`, { cwd });
  expect(await readFile(join(cwd, "told"), "utf8")).toBe("{package} hello\n");
});

test("passes on the last line of what the command said", async () => {
  const receipt = await piped("cat >/dev/null; echo one; printf 'https://example.com/\\033[31mx\\n'");
  expect(receipt.note).toMatch(/^The command said: https:\/\/example\.com\//);
  expect(receipt.note).not.toContain("\u001b");
  expect((await piped("cat >/dev/null")).note).toBeUndefined();
});

test("names the program only: what else is in the command may be secret", async () => {
  const receipt = await piped("TOKEN=hunter2 cat - >/dev/null");
  expect(receipt.location).toBe("the command cat …");
  expect(JSON.stringify(receipt)).not.toContain("hunter2");
});

test.each([
  ["cat >/dev/null; echo working; echo first >&2; echo no such bucket >&2; exit 3", "exit status 3"],
  ["echo first >&2; echo no such bucket >&2; exit 3", "exit status 3"],
  ["cat >/dev/null; echo first >&2; echo no such bucket >&2; kill -9 $$", "ended by SIGKILL"],
  ["echo first >&2; echo no such bucket >&2; head -c 1 >/dev/null", "before it had read the whole archive"],
])("%s: an export error with its last lines", async (command, message) => {
  const failure = await failureOf(piped(command, { image: randomDebugImage({ bytes: 3_000_000 }) }));
  expect(failure).toEqual({
    code: "export",
    message: expect.stringContaining(message),
    lines: ["first", "no such bucket"],
  });
});

test("a program that is not there is an export error that names it", async () => {
  const failure = await failureOf(piped("melange2-no-such-program --upload"));
  expect(failure).toMatchObject({ code: "export", message: expect.stringContaining("127") });
  expect(failure.lines.join()).toContain("melange2-no-such-program");
});

test("what a command leaves running keeps nobody waiting", async () => {
  const cwd = await folderOfItsOwn();
  await piped("cat >/dev/null; sleep 1000 & echo $! > pid", { cwd });
  process.kill(Number(await readFile(join(cwd, "pid"), "utf8")));
});

describe("an interrupt", () => {
  const interruptedWhenStarted = async (command: string) => {
    const cwd = await folderOfItsOwn();
    const stop = new AbortController();
    const image = randomDebugImage({ bytes: 3_000_000 });
    const failure = failureOf(piped(`echo $$ > pid; ${command}`, { cwd, signal: stop.signal, image }));
    while ((await readFile(join(cwd, "pid"), "utf8").catch(() => "")) === "") await new Promise(setImmediate);
    stop.abort();
    expect(await failure).toMatchObject({ code: "interrupted" });
    // All of its process group is gone, also what does not listen to SIGTERM.
    const group = (await readFile(join(cwd, "pid"), "utf8")).trim();
    const left = spawnSync("pgrep", ["--pgroup", group, "--runstates", "DRST"], { encoding: "utf8" });
    expect(left.stdout).toBe("");
    return cwd;
  };

  test("ends a command that reads nothing, and its children", () => interruptedWhenStarted("sleep 1000 | sleep 1000"));

  test("ends a command that has read everything", async () => {
    const stop = new AbortController();
    const cwd = await folderOfItsOwn();
    const failure = failureOf(piped("cat >/dev/null; touch read; sleep 1000", { cwd, signal: stop.signal }));
    while (!(await readdir(cwd)).includes("read")) await new Promise(setImmediate);
    stop.abort();
    expect(await failure).toMatchObject({ code: "interrupted" });
  });

  test("lets it clean up, and never shows it the end of half an archive", async () => {
    const trap = "trap 'echo cleaned > cleaned; exit 1' TERM; while :; do read -r _ || echo end > end; sleep 0.1; done";
    const cwd = await interruptedWhenStarted(trap);
    expect((await readdir(cwd)).sort()).toEqual(["cleaned", "pid"]);
  });

  test("ends one that ignores it", () => interruptedWhenStarted("trap '' TERM; sleep 1000"));
});

test.for(["none", "gzip"] as const)("skopeo takes what arrives, compression %s", async (compression, context) => {
  if (spawnSync("skopeo", ["--version"]).error) return context.skip("skopeo is not installed");
  const cwd = await folderOfItsOwn();
  const store = 'cat > debug.tar && skopeo copy --quiet "docker-archive:debug.tar:$MELANGE2_IMAGE" dir:copied';
  const receipt = await piped(store, { cwd, compression });
  const manifest = JSON.parse(await readFile(join(cwd, "copied/manifest.json"), "utf8"));
  expect(manifest.config.digest).toBe(receipt.imageId);
});
