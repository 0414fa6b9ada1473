import type { StringMap, User } from "@melange2/core";
import { sortedSet } from "./byte-order.ts";
import { plain } from "./plain.ts";
import type { EnvironmentSource } from "./schema.ts";
import type { Place, Problems } from "./source.ts";

/** What a recipe asks of an environment: all that melange gives apko. Composing it is another package's work. */
export interface EnvironmentRequest {
  /** apk dependency atoms, in the recipe's order, the needs of used pipelines after them. */
  readonly packages: readonly string[];
  /** `build_repositories` and those that flags add, sorted, each once: used to find packages, and not written into the environment. */
  readonly buildRepositories: readonly string[];
  /** Used to find packages, and written to /etc/apk/repositories. A line `@TAG URL` is a tagged repository. */
  readonly repositories: readonly string[];
  /** Written to /etc/apk/repositories only. */
  readonly runtimeRepositories: readonly string[];
  /** Paths and URLs of public keys, sorted, each once. */
  readonly keyring: readonly string[];
  /** Public keys that the environment holds, and that are not used to find packages. */
  readonly runtimeKeyring: readonly { readonly name: string; readonly content: string }[];
  /** The OCI layout below the environment, and the folder of the index of its packages. */
  readonly baseImage: { readonly image: string; readonly apkIndex: string } | undefined;
  /** Another file of image configuration, below this one; or empty. */
  readonly include: string;
  readonly users: readonly {
    readonly name: string;
    readonly uid: number;
    readonly gid: number;
    readonly shell: string;
    readonly home: string;
  }[];
  readonly groups: readonly { readonly name: string; readonly gid: number; readonly members: readonly string[] }[];
  /** A user's name, a number or `uid:gid`; empty for root. */
  readonly runAs: string;
  /** The variables of the environment, with the defaults that melange adds. */
  readonly variables: StringMap;
  /** Changes of paths, in order, after all packages are installed. */
  readonly paths: readonly PathChange[];
  /** Directories that must exist, absolute, beneath the workspace, owned by the step's user. */
  readonly directories: readonly string[];
}

/** A path that is made or changed once the packages are installed. */
export interface PathChange {
  readonly path: string;
  /** `directory`, `empty-file`, `hardlink`, `symlink` or `permissions`. */
  readonly type: string;
  /** Undefined: the owner stays as it is, or is 0 where the other one is given. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Permission bits: 0o755. */
  readonly permissions: number;
  /** Of a link: what it points to. */
  readonly source: string;
  readonly recursive: boolean;
}

/** What a user asks for beside the recipe, with flags. */
export interface EnvironmentAdditions {
  readonly packages: readonly string[];
  readonly repositories: readonly string[];
  readonly keyring: readonly string[];
}

/** What is known of an environment beside its section of the recipe. `packages` is the final list, without the additions. */
export interface EnvironmentSetting {
  readonly packages: readonly string[];
  readonly additions: EnvironmentAdditions;
  readonly variables: StringMap;
  readonly directories: readonly string[];
}

export function environmentRequest(source: EnvironmentSource, setting: EnvironmentSetting): EnvironmentRequest {
  const { contents, paths, include, accounts, entrypoint } = source;
  const { additions } = setting;
  // apko adds the supervisor that such an entrypoint is.
  const supervisor = entrypoint.type.value === "service-bundle" ? ["s6"] : [];
  return {
    packages: [...setting.packages, ...supervisor, ...additions.packages],
    buildRepositories: sortedSet([...plain(contents.build_repositories), ...additions.repositories]),
    repositories: plain(contents.repositories),
    runtimeRepositories: plain(contents.runtime_repositories),
    keyring: sortedSet([...plain(contents.keyring), ...additions.keyring]),
    runtimeKeyring: plain(contents.runtime_keyring),
    baseImage: contents.baseimage && {
      image: contents.baseimage.image.value,
      apkIndex: contents.baseimage.apkindex.value,
    },
    include: include.value,
    ...accountsOf(source),
    runAs: accounts["run-as"].value,
    variables: setting.variables,
    paths: plain(paths),
    directories: setting.directories,
  };
}

function accountsOf({ accounts }: EnvironmentSource): Pick<EnvironmentRequest, "users" | "groups"> {
  const users = accounts.users.map(({ username, uid, gid, shell, homedir }) => ({
    name: username.value,
    uid,
    gid: gid ?? uid,
    shell: shell.value || "/bin/sh",
    home: homedir.value || `/home/${username.value}`,
  }));
  const groups = accounts.groups.map(({ groupname, gid, members }) => ({
    name: groupname.value,
    gid,
    members: plain(members),
  }));
  if (!users.some(({ name }) => name === "build")) {
    users.push({ name: "build", uid: 1000, gid: 1000, shell: "/bin/sh", home: "/home/build" });
  }
  if (!groups.some(({ name }) => name === "build")) groups.push({ name: "build", gid: 1000, members: ["build"] });
  return { users, groups };
}

/** Reports what an environment asks for and no build can give it. */
export function checkEnvironment(source: EnvironmentSource, problems: Problems, refusals: Problems): void {
  const { contents, accounts, paths, include } = source;
  const refuse = (what: string, place: Place, hint: string) =>
    refusals.error(`${what} in an environment is not supported`, place, { hint });
  if (contents.baseimage)
    refuse("contents.baseimage", contents.baseimage.at, "Remove it, and name the image with --base.");
  if (paths[0])
    refuse(
      "paths",
      paths[0].at,
      "Remove them, and make them in the first step of the pipeline: mkdir, ln, chmod, chown.",
    );
  if (include.value !== "") refuse("include", include.place, "Copy what the file says into this environment.");
  for (const user of accounts.users) {
    if (user.username.value === "") problems.error("a user needs a username", user.at);
    if (user.uid === 0) problems.error(`the user "${user.username.value}" may not have the uid 0`, user.at);
  }
  for (const group of accounts.groups) {
    if (group.groupname.value === "") problems.error("a group needs a groupname", group.at);
  }
}

/** Who the steps run as; unknown names are reported, and are root here. */
export function stepUser(request: EnvironmentRequest, source: EnvironmentSource, problems: Problems): User {
  const root = { uid: 0, gid: 0 };
  const [, uid, , gid] = /^(\d+)(:(\d+))?$/.exec(request.runAs) ?? [];
  if (uid !== undefined) {
    const user = request.users.find((each) => each.uid === Number(uid));
    return { uid: Number(uid), gid: gid === undefined ? (user?.gid ?? Number(uid)) : Number(gid) };
  }
  if (request.runAs === "" || request.runAs === "root") return root;
  const user = request.users.find(({ name }) => name === request.runAs);
  if (user) return { uid: user.uid, gid: user.gid };
  problems.error(
    `the steps are to run as "${request.runAs}", but there is no such user`,
    source.accounts["run-as"].place,
    {
      hint: `Known users: root, ${request.users.map(({ name }) => name).join(", ")}; or give a number.`,
    },
  );
  return root;
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin";

const defaults: StringMap = {
  HOME: "/home/build",
  GOPATH: "/home/build/.cache/go",
  GOMODCACHE: "/var/cache/melange/gomodcache",
  UV_CACHE_DIR: "/var/cache/melange/uv",
  PIP_CACHE_DIR: "/var/cache/melange/pip",
  COMPOSER_CACHE_DIR: "/var/cache/melange/composer",
  npm_config_cache: "/var/cache/melange/npm",
};

/**
 * The variables of an environment: from files and flags, above them the recipe's own, and defaults for what is then missing
 * or empty.
 */
export function environmentVariables(given: StringMap, source: EnvironmentSource): StringMap {
  const variables: Record<string, string> = { ...given, ...plain(source.environment) };
  for (const [name, value] of Object.entries(defaults)) variables[name] ||= value;
  return variables;
}

/** What every process of an environment sees; a step's own variables come on top. PATH can be set in a step only. */
export function processEnvironment(variables: StringMap, sourceDateEpoch: number | undefined): StringMap {
  return {
    ...(sourceDateEpoch === undefined ? {} : { SOURCE_DATE_EPOCH: String(sourceDateEpoch) }),
    ...variables,
    PATH: path,
  };
}
