import { MelangeError, type User } from "@melange2/core";
import type { EnvironmentRequest } from "./environment-request.ts";

/** Texts of the account files; undefined where the base has none. */
export interface AccountFiles {
  readonly passwd: string | undefined;
  readonly group: string | undefined;
  readonly shadow: string | undefined;
}

/**
 * The base's account files with the recipe's users and groups at their end. A line of the base with the same name goes: a name must mean
 * what the recipe says. Throws `recipe` for names and paths that would break the files, and for a second root.
 */
export function composeAccounts(
  base: AccountFiles,
  request: Pick<EnvironmentRequest, "users" | "groups">,
): AccountFiles {
  const { users, groups } = request;
  for (const user of users) {
    for (const value of [user.name, user.home, user.shell]) refuseSeparators(value, `user ${user.name}`);
    if (user.uid === 0 || user.name === "root")
      throw new MelangeError(
        "recipe",
        `the recipe declares the user ${user.name} with uid ${user.uid}: root is there already`,
        {
          hint: "Leave it out, or give it another name and uid.",
        },
      );
  }
  for (const group of groups)
    for (const value of [group.name, ...group.members]) refuseSeparators(value, `group ${group.name}`);
  const userNames = new Set(users.map((user) => user.name));
  const groupNames = new Set(groups.map((group) => group.name));
  return {
    passwd: appended(base.passwd ?? "root:x:0:0:root:/root:/bin/sh\n", userNames, users.map(passwdLine)),
    group: appended(
      base.group ?? "root:x:0:\n",
      groupNames,
      groups.map(({ name, gid, members }) => `${name}:x:${gid}:${members.join(",")}`),
    ),
    shadow: appended(
      base.shadow ?? "",
      userNames,
      users.map(({ name }) => `${name}:!:::::::`),
    ),
  };
}

/**
 * The numbers that `runAs` stands for: empty is root; a name is looked up in passwd; a number takes its group from passwd, or itself as group, as users
 * without a group of their own get it; `uid:gid` as it is. Throws `recipe` for a name that is not there.
 */
export function resolveUser(runAs: string, passwd: string): User {
  if (runAs === "") return { uid: 0, gid: 0 };
  const [, uid, gid] = /^([0-9]{1,10})(?::([0-9]{1,10}))?$/.exec(runAs) ?? [];
  if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  const lines = passwd.split("\n").map((line) => line.split(":"));
  const line = lines.find((fields) =>
    uid === undefined ? fields[0] === runAs : Number(fields[2]) === Number(uid) && fields[2] !== "",
  );
  if (line && /^[0-9]+$/.test(line[2] ?? "") && /^[0-9]+$/.test(line[3] ?? ""))
    return { uid: Number(line[2]), gid: Number(line[3]) };
  if (uid !== undefined) return { uid: Number(uid), gid: Number(uid) };
  const known = lines.map(([name]) => name).filter(Boolean);
  throw new MelangeError(
    "recipe",
    `run-as names the user ${JSON.stringify(runAs)}, which does not exist in the environment`,
    {
      hint: `Declare it under environment.accounts.users, or use one of: ${known.join(", ")}.`,
    },
  );
}

function passwdLine(user: EnvironmentRequest["users"][number]): string {
  return `${user.name}:x:${user.uid}:${user.gid}:Account created by melange2:${homeOf(user)}:${user.shell || "/bin/sh"}`;
}

export function homeOf(user: Pick<EnvironmentRequest["users"][number], "name" | "home">): string {
  return user.home || `/home/${user.name}`;
}

function appended(text: string, replaced: ReadonlySet<string>, lines: readonly string[]): string {
  const kept = text.split("\n").filter((line) => line !== "" && !replaced.has(line.split(":", 1)[0] as string));
  return [...kept, ...lines].map((line) => `${line}\n`).join("");
}

function refuseSeparators(value: string, what: string): void {
  if (!/[:\n\0]/.test(value)) return;
  throw new MelangeError("recipe", `the ${what} holds a colon or a line break: ${JSON.stringify(value)}`, {
    hint: "Account files separate their fields by colons: use other characters.",
  });
}
