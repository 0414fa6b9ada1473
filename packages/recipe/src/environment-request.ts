import type { StringMap, User } from "@melange2/core";
import { sortedSet } from "./byte-order.ts";
import { plain } from "./plain.ts";
import type { EnvironmentRequest } from "./planned.ts";
import type { EnvironmentSource } from "./schema.ts";
import type { Problems } from "./source.ts";

/** What a user asks for beside the recipe, with flags. */
export interface EnvironmentAdditions {
  readonly packages: readonly string[];
  readonly repositories: readonly string[];
  readonly keyring: readonly string[];
}

/** The request for one environment. `packages` is the final list. */
export function environmentRequest(
  source: EnvironmentSource,
  packages: readonly string[],
  additions: EnvironmentAdditions,
  directories: readonly string[],
): EnvironmentRequest {
  const { contents, accounts } = source;
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
  return {
    packages: [...packages, ...additions.packages],
    repositories: merge(
      [...plain(contents.build_repositories), ...plain(contents.repositories)],
      additions.repositories,
    ),
    keyring: merge(plain(contents.keyring), additions.keyring),
    users,
    groups,
    runAs: accounts["run-as"].value,
    directories,
  };
}

function merge(own: readonly string[], added: readonly string[]): readonly string[] {
  return sortedSet([...own, ...added]);
}

/** Reports what an environment asks for and nobody here can give it. */
export function checkEnvironment({ contents, accounts, paths, include }: EnvironmentSource, problems: Problems): void {
  const unsupported = (what: string, place: Parameters<Problems["error"]>[1]) =>
    problems.error(`${what} in an environment is not supported`, place, { hint: "Remove it, or build with melange." });
  if (contents.baseimage) unsupported("contents.baseimage", contents.baseimage.at);
  if (paths[0]) unsupported("paths", paths[0].at);
  if (include.value !== "") unsupported("include", include.place);
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
