import { type Contributions, collectContributions, type PluginPackage } from "@melange2/plugin-host";
import type { Interfaces } from "@oclif/core";

/** The contributions of everything oclif found: our own dependencies, installed and linked plugins. Imports none of them. */
export function discover(config: Interfaces.Config): Contributions {
  return collectContributions(config.getPluginsList().map(asPackage));
}

function asPackage(plugin: Interfaces.Plugin): PluginPackage {
  const manifest = (plugin.pjson as unknown as Record<string, unknown>).melange2;
  return { name: plugin.name, version: plugin.version, root: plugin.root, origin: originOf(plugin), manifest };
}

function originOf(plugin: Interfaces.Plugin): string {
  switch (plugin.type) {
    case "core":
      return "built-in";
    case "link":
      return "linked";
    case "user":
      return "installed";
    default:
      return plugin.type;
  }
}
