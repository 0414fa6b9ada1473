import { isAbsolute, posix } from "node:path";
import { type Digest, type Environment, type Layer, MelangeError, type User } from "@melange2/core";
import { abortable, byteString, counted, layerFromEntries, type TarInput, writeTar } from "@melange2/oci";
import { type AccountFiles, composeAccounts, homeOf, resolveUser } from "./accounts.ts";
import { accountPaths, type BaseFacts, baseFacts } from "./base-facts.ts";
import { openCache } from "./cache.ts";
import type { EnvironmentRequest } from "./environment-request.ts";
import { layerDraft } from "./layer-draft.ts";
import { type MissingPackages, missingPackages } from "./missing-packages.ts";
import { translated } from "./oci-error.ts";
import type { OnProgress } from "./progress.ts";
import { type LeftOut, type SourceFile, type SourceFiles, sourceFiles } from "./source-files.ts";

export interface ComposeOptions {
  readonly base: Environment;
  readonly request: EnvironmentRequest;
  readonly workspace: {
    /** Absolute, in the environment: `/home/build`. */
    readonly path: string;
    /** A directory of the host whose regular files are copied in; none: the workspace is empty. */
    readonly sourceDirectory?: string | undefined;
    /** Absolute paths of the host: files and directories that are no source, should they lie in the source directory. */
    readonly leaveOut?: readonly string[];
  };
  /** Seconds since 1970: the mtime of everything that composing adds. */
  readonly sourceDateEpoch: number;
  /** The same as for `openBase`. */
  readonly cacheDirectory: string;
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface ComposedEnvironment {
  /** The base's layers, then one for accounts (where the recipe has any), then one for the workspace. */
  readonly environment: Environment;
  /** What the recipe's `run-as` stands for; the workspace is this user's. */
  readonly user: User;
  readonly missingPackages: MissingPackages;
  /** Of the source directory. */
  readonly leftOut: readonly LeftOut[];
}

/**
 * Puts the recipe's accounts and workspace on a base. The same base, request, source files (names, modes, content) and epoch give the same diff IDs.
 *
 * Everything added has one mtime, `sourceDateEpoch` (1980-01-02 if that is earlier: zip cannot say less). The times that files have on the host depend on when they were
 * checked out and would make every cache key new; with one time for all of them no file looks older than what it was made from, so make and
 * autotools regenerate nothing on their own, and whatever a step writes is newer.
 *
 * Rejects with `recipe` for accounts that cannot be, with `environment` when base or source cannot be read.
 */
export async function composeEnvironment(options: ComposeOptions): Promise<ComposedEnvironment> {
  const { base, request, signal } = options;
  const cache = await openCache(options.cacheDirectory);
  const facts = await translated("the base cannot be read", () => baseFacts(base, cache, signal));
  const before = accountFiles(facts);
  const accounts = composeAccounts(before, request);
  const user = resolveUser(request.runAs, accounts.passwd ?? "");
  const time = mtimeOf(options.sourceDateEpoch);

  const layers: Layer[] = [...base.layers];
  if (request.users.length + request.groups.length > 0) {
    layers.push(await cache.keep(accountsLayer(facts, accounts, options, time)));
  }
  const { files, leftOut } = await sourceOf(options);
  const entries = workspaceEntries(facts, { owner: user, files, time }, options);
  const total = entries.reduce((sum, { header }) => sum + header.size, 0);
  const tar = counted(abortable(writeTar(entries), signal), (done) =>
    options.onProgress?.({ what: "copying the source directory", done: Math.min(done, total), total }),
  );
  layers.push(await translated("the source directory cannot be copied", () => cache.keepTar(tar)));
  return {
    environment: { platform: base.platform, config: base.config, layers },
    user,
    missingPackages: missingPackages(request.packages, facts.installed),
    leftOut,
  };
}

/** Zip stores local times from 1980 on: a day later is safe in every time zone. */
const earliest = 315_619_200;

function mtimeOf(sourceDateEpoch: number): bigint {
  return BigInt(Math.max(sourceDateEpoch, earliest)) * 1_000_000_000n;
}

function accountFiles({ tree }: BaseFacts): AccountFiles {
  const text = (path: (typeof accountPaths)[number]): string | undefined => tree.find(path)?.file;
  return { passwd: text("etc/passwd"), group: text("etc/group"), shadow: text("etc/shadow") };
}

/** Layers that composing has added to a base, as `cacheDirectory` still has them; undefined: one is gone. */
export async function composedLayers(
  diffIds: readonly Digest[],
  { cacheDirectory }: Pick<ComposeOptions, "cacheDirectory">,
): Promise<readonly Layer[] | undefined> {
  const cache = await openCache(cacheDirectory);
  const found = await Promise.all(diffIds.map((diffId) => cache.find(diffId)));
  return found.every((layer) => layer !== undefined) ? found : undefined;
}

function accountsLayer(facts: BaseFacts, accounts: AccountFiles, options: ComposeOptions, time: bigint): Layer {
  const draft = layerDraft(facts.tree, time);
  for (const path of accountPaths) {
    const text = accounts[path.slice("etc/".length) as keyof AccountFiles];
    if (text === undefined) continue;
    const body = Buffer.from(text, "latin1");
    const existing = facts.tree.find(path)?.header;
    const fields = existing ?? { mode: path === "etc/shadow" ? 0o640 : 0o644, uid: 0, gid: 0 };
    draft.file(path, { mode: fields.mode, uid: fields.uid, gid: fields.gid, size: body.length }, body);
  }
  for (const user of options.request.users) {
    const home = posix.normalize(homeOf(user));
    // The workspace's layer makes the workspace; a home that the base has stays as it is.
    if (!home.startsWith("/") || home === "/dev/null" || home === posix.normalize(options.workspace.path)) continue;
    const path = relative(home);
    if (path !== "" && !facts.tree.find(path)) draft.directory(path, { mode: 0o700, uid: user.uid, gid: user.gid });
  }
  return layerFromEntries(draft.entries() as Parameters<typeof layerFromEntries>[0]);
}

function sourceOf({ workspace, cacheDirectory, signal }: ComposeOptions): SourceFiles | Promise<SourceFiles> {
  const { sourceDirectory, leaveOut = [] } = workspace;
  return sourceDirectory
    ? sourceFiles(sourceDirectory, [cacheDirectory, ...leaveOut], signal)
    : { files: [], leftOut: [] };
}

function workspaceEntries(
  facts: BaseFacts,
  { owner, files, time }: { readonly owner: User; readonly files: readonly SourceFile[]; readonly time: bigint },
  { workspace, request }: ComposeOptions,
): readonly TarInput[] {
  const draft = layerDraft(facts.tree, time);
  const directory = (path: string): void => draft.directory(path, { mode: 0o755, ...owner });
  const root = relative(posix.normalize(workspace.path));
  const made = new Set<string>();
  const withParents = (path: string): void => {
    if (path === root || path === "" || made.has(path)) return;
    withParents(posix.dirname(path));
    made.add(path);
    directory(path);
  };
  directory(root);
  for (const file of files) {
    const path = `${root}/${file.path}`;
    withParents(posix.dirname(path));
    draft.file(path, { mode: file.mode, size: file.size, ...owner }, lazily(file));
  }
  for (const wanted of request.directories) withParents(beneath(wanted, workspace.path));
  return draft.entries();
}

/** Opened when the tar comes to it. */
function lazily(file: SourceFile): TarInput["body"] {
  return { [Symbol.asyncIterator]: () => file.open()[Symbol.asyncIterator]() };
}

function beneath(directory: string, workspace: string): string {
  const root = relative(posix.normalize(workspace));
  const path = relative(isAbsolute(directory) ? posix.normalize(directory) : posix.join(workspace, directory));
  if (path === root || path.startsWith(`${root}/`)) return path;
  throw new MelangeError("recipe", `the directory ${directory} is not beneath the workspace ${workspace}`, {
    hint: "Only directories of the workspace can be asked for.",
  });
}

/** A normalised absolute path as a layer names it. */
function relative(path: string): string {
  return byteString(path.replace(/^\/+|\/+$/g, ""));
}
