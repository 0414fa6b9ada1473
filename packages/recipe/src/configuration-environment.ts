import type { CompiledEnvironment } from "./compiled-recipe.ts";
import { type Written, written, writtenMap } from "./written.ts";

/** What is written of an environment beside what the recipe says. */
export interface WrittenSetting {
  readonly packages: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  /** Whether users without a home are written with the one that they get. */
  readonly homes: boolean;
  /** Whether the user and the group `build` are written where the recipe does not name them. */
  readonly buildUser: boolean;
}

/** A section `environment` as melange writes it once it is compiled. */
export function writtenEnvironment({ source, request }: CompiledEnvironment, setting: WrittenSetting): Written {
  const { contents, entrypoint, paths, certificates, layering } = source;
  return written({
    contents: written({
      build_repositories: request.buildRepositories,
      runtime_repositories: request.runtimeRepositories,
      repositories: request.repositories,
      keyring: request.keyring,
      runtime_keyring: contents.runtime_keyring.map((key) => ({ ...key })),
      packages: setting.packages,
      baseimage: contents.baseimage && written(contents.baseimage),
    }),
    entrypoint: Object.keys(written(entrypoint)).length > 0 ? entrypoint : {},
    cmd: source.cmd,
    "stop-signal": source["stop-signal"],
    "work-dir": source["work-dir"],
    accounts: writtenAccounts(source, setting),
    archs: source.archs,
    environment: writtenMap(setting.variables),
    paths: paths.map((path) => written(path, ["path", "type", "permissions", "source", "recursive", "uid", "gid"])),
    "vcs-url": source["vcs-url"],
    annotations: writtenMap(source.annotations),
    include: source.include,
    volumes: source.volumes,
    layering: layering && written(layering),
    format: source.format,
    certificates:
      certificates && written({ ...certificates, additional: certificates.additional.map((one) => ({ ...one })) }),
  });
}

function writtenAccounts({ accounts }: CompiledEnvironment["source"], { homes, buildUser }: WrittenSetting): Written {
  const id = 1000;
  const { users, groups } = accounts;
  const allUsers = users.map(({ username, uid, gid, shell, homedir }) => ({
    username,
    uid,
    ...(gid === undefined ? {} : { gid }),
    shell,
    homedir: homedir || (homes ? `/home/${username}` : ""),
  }));
  const allGroups = groups.map((group) => ({ ...group }));
  if (buildUser && !users.some(({ username }) => username === "build"))
    allUsers.push({ username: "build", uid: id, gid: id, shell: "", homedir: homes ? "/home/build" : "" });
  if (buildUser && !groups.some(({ groupname }) => groupname === "build"))
    allGroups.push({ groupname: "build", gid: id, members: ["build"] });
  const runAs = accounts["run-as"];
  if (runAs === "" && allUsers.length + allGroups.length === 0) return {};
  return { "run-as": runAs, users: allUsers, groups: allGroups };
}
