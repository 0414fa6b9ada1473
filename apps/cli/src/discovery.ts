import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Tell } from "@melange2/core";
import {
  type Contributions,
  collectContributions,
  type PluginPackage,
  type PluginProblem,
} from "@melange2/plugin-host";
import type { Interfaces } from "@oclif/core";

/**
 * The contributions of everything oclif found: our own dependencies, installed and linked plugins. Imports none of them. Those that oclif
 * could not load are among the problems.
 */
export function discover(config: Interfaces.Config): Contributions {
  const { all, problems } = collectContributions(config.getPluginsList().map(asPackage));
  return { all, problems: [...problems, ...notLoaded(config)] };
}

/** A build goes on without what it does not use, but says what is broken. */
export function tellProblems({ problems }: Contributions, tell: Tell): void {
  for (const { plugin, message } of problems) {
    tell({
      type: "notice",
      level: "warning",
      message: `the plugin ${plugin.name} cannot be used: ${message}`,
      hint: `Repair it in ${plugin.root}, or remove it: melange2 plugins uninstall ${plugin.name}`,
    });
  }
}

function asPackage(plugin: Interfaces.Plugin): PluginPackage {
  const manifest = (plugin.pjson as unknown as Record<string, unknown>).melange2;
  return { name: plugin.name, version: plugin.version, root: plugin.root, origin: originOf(plugin.type), manifest };
}

function originOf(type: string): string {
  return { core: "built-in", link: "linked", user: "installed" }[type] ?? type;
}

/** What oclif keeps about the plugins that were installed and linked. */
interface UserPlugin {
  readonly name: string;
  readonly type: "user" | "link";
  readonly root?: string;
}

/** oclif leaves out what it cannot load, and says so to nobody but the debugger. */
function notLoaded(config: Interfaces.Config): readonly PluginProblem[] {
  const own = Object.keys(config.pjson.dependencies ?? {})
    .filter((name) => /^@melange2\/(exporter|capture|engine)-/.test(name))
    .map((name) => ({ name, type: "core", root: join(config.root, "node_modules", name) }));
  const users = userPlugins(config.dataDir).map(({ name, type, root }) => {
    return { name, type, root: root ?? join(config.dataDir, "node_modules", name) };
  });
  return [...own, ...users]
    .filter(({ name }) => !config.plugins.has(name))
    .map(({ name, type, root }) => ({
      plugin: { name, version: "", root, origin: originOf(type) },
      message: whyNot(root),
      names: [],
    }));
}

function userPlugins(dataDirectory: string): readonly UserPlugin[] {
  try {
    const { oclif } = JSON.parse(readFileSync(join(dataDirectory, "package.json"), "utf8")) as {
      readonly oclif?: { readonly plugins?: readonly UserPlugin[] };
    };
    return oclif?.plugins ?? [];
  } catch (error) {
    // None were ever installed; a file that is no JSON is reported by oclif.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function whyNot(root: string): string {
  const file = join(root, "package.json");
  if (!existsSync(root)) return "its folder is gone";
  if (!existsSync(file)) return "it has no package.json";
  try {
    JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    return `its package.json cannot be read: ${(error as Error).message}`;
  }
  return "its package.json is not that of a plugin";
}
