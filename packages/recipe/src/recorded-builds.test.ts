import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { oracles } from "../test/corpus-folder.ts";
import { plannedRecipe } from "../test/planned.ts";
import { canRunSteps, noSteps, runBuild, shells } from "../test/run-steps.ts";
import { pipelineDirectories } from "./pipeline-directories.ts";

// Recipes that the real melange built, run here step by step with each of the shells there are, in a private /home/build; the
// packages' contents must be what melange packed.

const cases: readonly { readonly name: string; readonly tools?: readonly string[] }[] = [
  { name: "all-arch" },
  { name: "cmds" },
  { name: "elf-basic" },
  { name: "empty" },
  { name: "epoch-zero" },
  { name: "ld-so-conf" },
  { name: "pkgconfig" },
  { name: "plain" },
  { name: "python-mods" },
  { name: "ruby-mods" },
  { name: "scriptlets" },
  { name: "strip", tools: ["scanelf", "strip"] },
  { name: "subs-range" },
  { name: "uses-split" },
  { name: "vars-transforms" },
];

interface Listing {
  readonly apks: readonly {
    readonly file: string;
    readonly members: readonly { readonly role: string; readonly tar: { readonly entries: readonly Entry[] } }[];
  }[];
}

interface Entry {
  readonly name: string;
  readonly type: string;
  readonly sha1?: string;
  readonly linkname?: string;
}

describe.each(shells)("recorded builds, run by %s", (shell) => {
  test.for(cases)("$name makes what melange made", async ({ name, tools = [] }, { skip }) => {
    skip(!oracles, "there is no ../shared/corpus");
    skip(!canRunSteps, noSteps);
    for (const tool of tools) if (spawnSync(tool, ["--version"]).error) skip(`there is no ${tool}`);
    const folder = join(oracles ?? "", "built", name);
    const workspace = mkdtempSync(join(tmpdir(), "melange2-recipe-"));
    try {
      if (existsSync(join(folder, "src"))) cpSync(join(folder, "src"), workspace, { recursive: true });
      execFileSync("chmod", ["-R", "u+w", workspace]);
      await build(folder, workspace, shell);
      const listing: Listing = JSON.parse(readFileSync(join(folder, "listing.json"), "utf8"));
      for (const { file, members } of listing.apks) {
        const packageName = file.replace(/-[^-]+-r\d+\.apk$/, "");
        const data = members.find(({ role }) => role === "data")?.tar.entries ?? [];
        const packed = data.map(describeEntry).filter((line) => !/^(var|var\/lib|var\/lib\/db(\/.*)?)( |$)/.test(line));
        expect(contents(join(workspace, "melange-out", packageName)), file).toEqual(packed.sort());
      }
    } finally {
      rmSync(workspace, { recursive: true, force: true });
    }
  });
});

async function build(folder: string, workspace: string, shell: string): Promise<void> {
  const recorded: { readonly env: Readonly<Record<string, string | null>> } = JSON.parse(
    readFileSync(join(folder, "case.json"), "utf8"),
  );
  const result = await plannedRecipe({
    file: join(folder, "recipe.yaml"),
    text: readFileSync(join(folder, "recipe.yaml"), "utf8"),
    arch: "x86_64",
    pipelines: pipelineDirectories([]),
    sourceDateEpoch: Number(recorded.env.SOURCE_DATE_EPOCH ?? 0),
  });
  if (result.kind === "skipped") throw new Error(result.reason);
  runBuild(result, workspace, shell);
}

function describeEntry({ name, type, sha1, linkname }: Entry): string {
  if (type === "file") return `${name} file ${sha1}`;
  return type === "symlink" ? `${name} symlink ${linkname}` : `${name} ${type}`;
}

/** A line for each thing in a directory, sorted; no directory has none. */
function contents(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => {
      const path = join(directory, name);
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) return describeEntry({ name, type: "symlink", linkname: readlinkSync(path) });
      if (stat.isDirectory()) return describeEntry({ name, type: "dir" });
      const sha1 = createHash("sha1").update(readFileSync(path)).digest("hex");
      return describeEntry({ name, type: "file", sha1 });
    })
    .sort();
}
