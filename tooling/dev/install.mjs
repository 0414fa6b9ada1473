import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, root, sh } from "./shell.mjs";

const stamp = join(root, "node_modules/.installed-from");

/** `pnpm@` and its pinned version; it comes through npx, which is there wherever npm is. */
export const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Asks the registry only for what npm's cache lacks: an unreachable one would hold up every command for a minute. */
export const npx = ["npx", "--yes", "--prefer-offline", "--no-update-notifier"];

/** Installs the dependencies when they are lacking or when a manifest or the lockfile has changed since. */
export async function install() {
  const state = manifestsDigest();
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== state) {
    // It may replace a node_modules made by something else without asking.
    await sh([...npx, packageManager, "install", "--frozen-lockfile", "--config.confirm-modules-purge=false"], {
      stdout: 2,
    });
    writeFileSync(stamp, state);
  }
  await requireNode();
}

function manifestsDigest() {
  const files = ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"];
  for (const group of ["packages", "apps", "tooling"]) {
    for (const name of readdirSync(join(root, group)).sort()) files.push(`${group}/${name}/package.json`);
  }
  const hash = createHash("sha256");
  for (const file of files) {
    const path = join(root, file);
    if (existsSync(path)) hash.update(file).update(readFileSync(path));
  }
  return hash.digest("hex");
}

/** The installation brings its own Node on Linux; elsewhere the machine's has to be new enough. */
async function requireNode() {
  const bundled = existsSync(join(root, "node_modules/.bin/node"));
  if (!bundled && Number(process.versions.node.split(".")[0]) < 22) {
    throw new Failure(`Node 22 or newer is needed on ${process.platform}; this is ${process.version}`);
  }
}
