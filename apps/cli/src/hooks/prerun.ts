import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Hook } from "@oclif/core";

/** Before every command. What it does for `plugins install` and its like, oclif's plugin manager has no settings for. */
const prerun: Hook.Prerun = async ({ Command, argv }) => {
  if (!Command.id.startsWith("plugins:")) return;
  // npm must not run scripts of a package that somebody is only about to use.
  process.env.npm_config_ignore_scripts = "true";
  if (Command.id === "plugins:install") {
    for (const [index, argument] of argv.entries()) argv[index] = absolute(argument);
  }
};

/** npm starts in another folder: a path, with or without `file:`, becomes absolute. */
function absolute(argument: string): string {
  const path = argument.replace(/^file:(\/\/(?=\/))?/, "");
  const isPath = path !== argument || (/^\.{0,2}\//.test(argument) && existsSync(argument));
  return isPath ? `file:${resolve(path)}` : argument;
}

export default prerun;
