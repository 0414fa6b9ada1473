import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { imageName, isMelangeError, redactor, type SecretSource } from "@melange2/core";
import { localEngine } from "@melange2/engine-local";
import { layerFromEntries, tarHeader } from "@melange2/oci";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { mountsWith, processesWith } from "@melange2-tooling/machine";
import { fullRun, provided, removeOwnTree, root } from "@melange2-tooling/services";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Ended, each, faultOf, melange2 } from "../src/command.ts";
import { type HostState, readHostState } from "../src/host-state.ts";
import { tryInChildren } from "../src/in-children.ts";
import { campaignSeed, type Random, randomOf } from "../src/random.ts";
import { hostileBuild } from "../src/recipes.ts";
import { secretForms, secretOf } from "../src/secret-forms.ts";
import { shownOutput } from "../src/shown-output.ts";
import { type Tally, tableOf, tally } from "../src/tally.ts";
import { hostilePath, hostileReference } from "../src/targets.ts";

// New members of each kind of input that the product once handled wrongly, by a seed that the table names.
// MELANGE2_CAMPAIGN_SEED=N makes the same members again; MELANGE2_CAMPAIGN_SHARE=0.1 makes a tenth of them.

vi.setConfig({ testTimeout: 1_800_000, hookTimeout: 120_000 });

const seed = campaignSeed();
const share = Number(process.env.MELANGE2_CAMPAIGN_SHARE || "1");
const many = (count: number) => Math.ceil(count * share);
const tallies: Tally[] = [];
let folder: string;
let canary: string;
let before: HostState;
let base: string;

const begin = (kind: string): Tally => {
  const one = tally(kind);
  tallies.push(one);
  return one;
};

/** A folder for one kind; its name is in the words of every process and mount that works for it. */
async function ground(): Promise<string> {
  return mkdtemp(join(folder, "melange2-campaign-"));
}

/** Nothing that a kind started or mounted is left. Processes that were killed may take a moment to go. */
async function noteLeftovers(place: string, into: Tally): Promise<void> {
  const name = basename(place);
  for (let tries = 0; tries < 200 && processesWith(name).length > 0; tries++)
    await new Promise((go) => setTimeout(go, 50));
  for (const line of [...processesWith(name), ...mountsWith(name)])
    into.found.push({ fault: "left behind", about: line });
}

beforeAll(async () => {
  if (process.env.MELANGE2_TEST_FULL !== "1") return;
  folder = await mkdtemp(join(tmpdir(), "campaign-"));
  canary = join(folder, "canary");
  await mkdir(canary);
  await writeFile(join(canary, "key"), "the host's own\n");
  base = (await busyboxRoot()).tar;
  before = readHostState();
});

afterAll(async () => {
  if (folder === undefined) return;
  const host = begin("the host");
  host.cases = 1;
  for (const change of before.changes()) host.found.push({ fault: "host changed", about: change });
  before.restoreDevices();
  if (
    execFileSync("sh", ["-c", 'cd "$1" && find . | sort && cat key', "sh", canary], { encoding: "utf8" }) !==
    ".\n./key\nthe host's own\n"
  )
    host.found.push({ fault: "host changed", about: `the folder ${canary}: ${readdirSync(canary)}` });
  console.log(tableOf(seed, tallies));
  await removeOwnTree(folder);
  expect(host.found.slice(0, 5)).toEqual([]);
});

describe("campaign", () => {
  test("recipes are compiled or refused", async (context) => {
    fullRun(context);
    const into = begin("recipes, compiled");
    await tryInChildren("recipes", { seed, folder: await ground(), canary }, many(1700), into);
    expect(into.found.slice(0, 5)).toEqual([]);
  });

  test("recipes run, fail and are exported", async (context) => {
    fullRun(context);
    const into = begin("recipes, built");
    const place = await ground();
    await each(many(300), async (index) => {
      const cwd = join(place, String(index));
      await mkdir(join(cwd, "src"), { recursive: true });
      await writeFile(join(cwd, "r.yaml"), hostileBuild(randomOf(seed, index), canary));
      const args = [
        "build",
        "r.yaml",
        "--base",
        base,
        "--source-dir",
        "src",
        "--out-dir",
        "out",
        "--step-timeout",
        "4",
        "--export-on-failure",
        "--export-path",
        "x.tar",
      ];
      note(into, index, await melange2(args, { cwd, patience: 20_000 }));
      await removeOwnTree(cwd);
    });
    await noteLeftovers(place, into);
    expect(into.found.slice(0, 5)).toEqual([]);
  });

  test("bases are run on or refused", async (context) => {
    fullRun(context);
    const into = begin("bases");
    const place = await ground();
    await tryInChildren("bases", { seed, folder: place, canary }, many(500), into);
    await noteLeftovers(place, into);
    expect(into.found.slice(0, 5)).toEqual([]);
  });

  test("references are taken or refused as Docker does", async (context) => {
    fullRun(context);
    const socketPath = provided(context, "MELANGE2_TEST_DOCKER20");
    const into = begin("references");
    const image = await loadTinyImage(socketPath);
    for (let index = 0; index < many(250); index++) {
      const reference = hostileReference(randomOf(seed, index));
      into.cases++;
      let name: string;
      try {
        name = imageName(
          reference,
          (placeholder) => ({ "{package}": "libstdc++", "{version}": "1.2.3_p4" })[placeholder] ?? placeholder,
        );
      } catch (error) {
        if (!isMelangeError(error))
          into.found.push({ fault: "internal error", about: `${JSON.stringify(reference)}: ${error}` });
        continue;
      }
      const status = await tagged(socketPath, image, name);
      if (status !== 201)
        into.found.push({ fault: "judged otherwise", about: `${JSON.stringify(name)}: Docker says ${status}` });
    }
    expect(into.found.slice(0, 5)).toEqual([]);
  });

  test("paths to export to are written or refused", async (context) => {
    fullRun(context);
    root(context);
    const into = begin("export paths");
    const place = await ground();
    await writeFile(
      join(place, "r.yaml"),
      "package: {name: t, version: 1, epoch: 0, description: x}\npipeline: [{runs: exit 7}]\n",
    );
    await mkdir(join(place, "src"));
    await melange2(["build", "r.yaml", "--base", base, "--source-dir", "src"], { cwd: place, patience: 60_000 });
    await each(many(250), async (index) => {
      const cwd = join(place, String(index));
      await furnish(cwd);
      const path = hostilePath(randomOf(seed, index));
      const args = ["debug", "export", `--export-path=${path}`];
      const ended = await melange2(args, { cwd, env: { MELANGE2_STATE_DIR: join(place, "state") }, patience: 15_000 });
      // Only there is the archive itself what comes out.
      note(into, index, path === "-" && ended !== "hang" ? { ...ended, output: "" } : ended);
      const parts = readdirSync(cwd, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".part"));
      for (const name of parts) into.found.push({ fault: "left behind", about: `case ${index}: ${name}` });
      await rm(cwd, { recursive: true });
    });
    await noteLeftovers(place, into);
    expect(into.found.slice(0, 5)).toEqual([]);
  });

  test("secrets are masked and found in every form", async (context) => {
    fullRun(context);
    const into = begin("secrets x forms");
    const place = await ground();
    const values = Array.from({ length: many(200) }, (_, index) => secretOf(randomOf(seed, index)));
    const secrets: SecretSource = {
      names: values.map((_, index) => `S${index}`),
      get: (name) => values[Number(name.slice(1))],
    };
    const files = new Map<string, Buffer>();
    const recipe = join(place, "one-step.yaml");
    await writeFile(recipe, "package: {name: t, version: 1, epoch: 0, description: x}\npipeline: [{runs: x}]\n");
    for (const [index, value] of values.entries()) {
      const random = randomOf(seed, 10_000 + index);
      const alone: SecretSource = { names: ["S"], get: () => value };
      const redact = redactor(alone);
      const written: string[] = [];
      for (const form of secretForms) {
        into.cases++;
        const made = form.make(value, random);
        files.set(`${index}/${form.name}`, made);
        if (form.name.startsWith("UTF-16")) continue;
        const line = `before ${made} after\n`;
        const masked = redact(line);
        if (masked.includes(made.toString()) || masked.includes(value))
          into.found.push({
            fault: "leak",
            about: `${form.name} of ${JSON.stringify(value)} is not masked: ${masked}`,
          });
        written.push(line);
      }
      const shown = await shownOutput(recipe, inPieces(written.join(""), random), alone);
      for (const line of written)
        if (shown.includes(line.slice(0, -1)) || shown.includes(value))
          into.found.push({ fault: "leak", about: `a step with ${JSON.stringify(value)} shows: ${line}` });
    }
    for (const missed of await notFound(place, files, secrets))
      into.found.push({
        fault: "leak",
        about: `not found in a layer: ${missed} of ${JSON.stringify(values[Number.parseInt(missed, 10)])}`,
      });
    expect(into.found.slice(0, 5)).toEqual([]);
  });

  test("builds are killed", async (context) => {
    fullRun(context);
    root(context);
    const into = begin("kills");
    const place = await ground();
    await mkdir(join(place, "src"));
    await writeFile(
      join(place, "r.yaml"),
      `package: {name: t, version: 1, epoch: 0, description: x}\npipeline:\n  - runs: "dd if=/dev/zero of=a bs=1M count=4 2>/dev/null; sleep 0.2"\n  - runs: "(setsid sleep 300 &) ; sleep 0.2; exit 7"\n`,
    );
    const args = [
      "build",
      "r.yaml",
      "--base",
      base,
      "--source-dir",
      "src",
      "--export-on-failure",
      "--export-path",
      "x.tar",
    ];
    for (let index = 0; index < many(100); index++) {
      const random = randomOf(seed, index);
      const signal = random.pick(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"] as const);
      const after = random.below(1200);
      into.cases++;
      const ended = await melange2(args, { cwd: place, interrupt: { signal, after }, patience: 10_000 });
      const about = `case ${index}: ${signal} after ${after} ms`;
      if (ended === "hang") into.found.push({ fault: "hang", about });
      else if (signal !== "SIGKILL" && ended.signal === null && faultOf(ended) !== undefined)
        into.found.push({
          fault: faultOf(ended) as "crash",
          about: `${about}: ${ended.code}: ${ended.output.slice(-300)}`,
        });
    }
    await noteLeftovers(place, into);
    // The next build takes away what the killed ones left, and forgetting leaves nothing of them.
    await melange2(args, { cwd: place, patience: 60_000 });
    await melange2(["debug", "prune", "--all", "--force"], { cwd: place, patience: 60_000 });
    for (const path of leftInState(join(place, "state"))) into.found.push({ fault: "left behind", about: path });
    if (readdirSync(place).some((name) => name.endsWith(".part")))
      into.found.push({ fault: "left behind", about: readdirSync(place).join(" ") });
    expect(into.found.slice(0, 5)).toEqual([]);
  });
});

function note(into: Tally, index: number, ended: Ended | "hang"): void {
  into.cases++;
  if (ended === "hang") into.found.push({ fault: "hang", about: `case ${index}` });
  else {
    const fault = faultOf(ended);
    if (fault !== undefined)
      into.found.push({
        fault,
        about: `case ${index}: exit ${ended.code} ${ended.signal}: ${ended.output.slice(-400)}`,
      });
    if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0080-\u009f]/.test(ended.output))
      into.found.push({
        fault: "leak",
        about: `case ${index}: control characters: ${JSON.stringify(ended.output.slice(-400))}`,
      });
  }
}

/** A text cut at random places: processes write as they like. */
function inPieces(text: string, random: Random): readonly string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = at + 1 + random.below(40);
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

/** What paths of {@link hostilePath} meet, in an empty folder. */
async function furnish(cwd: string): Promise<void> {
  await mkdir(join(cwd, "folder"), { recursive: true });
  await writeFile(join(cwd, "file"), "somebody's\n");
  for (const [name, target] of [
    ["link-to-file", "file"],
    ["dangling", "/nowhere/x"],
    ["loop", "loop"],
  ] as const)
    await symlink(target, join(cwd, name));
  execFileSync("sh", ["-c", "mkfifo fifo; mknod null c 1 3; mknod full c 1 7"], { cwd });
}

/** Sessions, drafts, spools and kept states that nobody will ever use again. */
function leftInState(state: string): readonly string[] {
  const all = existsSync(state) ? readdirSync(state, { recursive: true, encoding: "utf8" }) : [];
  return all.filter((path) => /(^|\/)(tmp|keep|spool|drafts)\/[^/]+$/.test(path));
}

/** Each of these as a file of a layer, searched by the engine; gives the names of those that were not found. */
async function notFound(
  place: string,
  files: ReadonlyMap<string, Buffer>,
  secrets: SecretSource,
): Promise<readonly string[]> {
  const { signal } = new AbortController();
  const names = [...files.keys()];
  const layer = layerFromEntries(
    names.map((name, index) => {
      const body = files.get(name) as Buffer;
      return { header: tarHeader({ name: `f${index}`, type: "file", size: body.length }), body };
    }),
  );
  await using session = await localEngine({ stateDirectory: join(place, "state"), env: process.env, options: {} }).open(
    { capture: true, secrets, network: false, signal },
  );
  const at = await session.load(
    { platform: { os: "linux", architecture: "amd64" }, config: {}, layers: [layer] },
    { signal },
  );
  const found = new Set((await session.search([at], secrets, { signal })).paths);
  return names.filter((_, index) => !found.has(`/f${index}`));
}

function asked(
  socketPath: string,
  method: string,
  path: string,
  body?: Buffer,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asking = request(
      { socketPath, method, path, headers: { "content-type": "application/x-tar" } },
      async (response) => {
        let text = "";
        for await (const piece of response) text += piece;
        resolve({ status: response.statusCode ?? 0, text });
      },
    );
    asking.on("error", reject);
    asking.end(body);
  });
}

async function loadTinyImage(socketPath: string): Promise<string> {
  const empty = gzipSync(Buffer.alloc(1024));
  const { status, text } = await asked(socketPath, "POST", "/images/create?fromSrc=-&repo=campaign&tag=tiny", empty);
  if (status !== 200) throw new Error(text);
  return "campaign:tiny";
}

async function tagged(socketPath: string, image: string, name: string): Promise<number> {
  const colon = name.lastIndexOf(":");
  const query = new URLSearchParams({ repo: name.slice(0, colon), tag: name.slice(colon + 1) });
  const { status } = await asked(socketPath, "POST", `/images/${image}/tag?${query}`);
  if (status === 201) await asked(socketPath, "DELETE", `/images/${encodeURIComponent(name)}?noprune=1`);
  return status;
}
