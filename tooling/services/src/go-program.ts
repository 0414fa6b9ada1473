import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { cached, run } from "@melange2-tooling/machine";

// The toolchain at hand, never one that go would download by itself.
const goEnvironment = {
  GOTOOLCHAIN: "local",
  CGO_ENABLED: "0",
  GOFLAGS: "",
  // Go's own instructions put it there, which not every PATH names.
  PATH: `${process.env.PATH ?? ""}:/usr/local/go/bin`,
};

/** The path of a Go program, installed at a fixed version into the cache folder. An error where there is no Go. */
export async function goProgram(module: string, version: string): Promise<string> {
  const name = basename(module);
  const bin = await cached(`go/${name}-${version}`, async (unfinished) => {
    await requireGo();
    await mkdir(unfinished);
    await run(["go", "install", `${module}@${version}`], { env: { ...goEnvironment, GOBIN: unfinished } });
  });
  return join(bin, name);
}

/** A folder with the programs built from the module in `folder`, whose go.mod and go.sum fix every version. */
export const goPrograms = (entry: string, folder: string, programs: readonly string[]): Promise<string> =>
  cached(`go/${entry}`, async (unfinished) => {
    await requireGo();
    await mkdir(unfinished);
    await run(["go", "build", "-o", `${unfinished}/`, ...programs], { cwd: folder, env: goEnvironment });
  });

async function requireGo(): Promise<void> {
  await run(["go", "version"], { env: goEnvironment }).catch(() => {
    throw new Error("building it needs Go, which is not on PATH");
  });
}
