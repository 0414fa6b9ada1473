import { posix } from "node:path";
import { type CacheMount, MelangeError } from "@melange2/core";

/** What `--cache-mount NAME:PATH` says, each. Throws code `usage`. */
export function cacheMounts(given: readonly string[]): readonly Omit<CacheMount, "kind">[] {
  const mounts = given.map(parse);
  const twice = mounts.find(({ target }, index) => mounts.findIndex((other) => other.target === target) < index);
  if (twice) throw refused(`${twice.source}:${twice.target}`, `${twice.target} has a cache already`);
  return mounts;
}

/** A mount there would hide what every step needs. */
const reserved = /^\/(?:(?:dev|proc|sys)(?:\/.*)?|\.melange2(?:\/.*)?)?$/;

function parse(text: string): Omit<CacheMount, "kind"> {
  const [, source = "", path = ""] = /^([A-Za-z0-9][A-Za-z0-9._-]*):(\/.*)$/s.exec(text) ?? [];
  if (source === "") throw refused(text, "it has to be NAME:PATH");
  const target = posix.join("/", path).replace(/(?<=.)\/$/, "");
  if (reserved.test(target) || path.split("/").includes("..")) throw refused(text, `${path} cannot be a cache`);
  return { source, target };
}

function refused(text: string, why: string): MelangeError {
  return new MelangeError("usage", `--cache-mount ${text}: ${why}`, {
    hint: "Give a name and an absolute path, as in --cache-mount go-build:/root/.cache/go-build.",
  });
}
