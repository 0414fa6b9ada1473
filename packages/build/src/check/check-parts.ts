import { type Finding, isMelangeError } from "@melange2/core";
import { type GivenOption, optionsFromEnvironment, readOptions } from "@melange2/plugin-host";
import { chooseEngine, createEngine } from "../engine/choose-engine.ts";
import { probed } from "../export/preflight.ts";
import { contextOf } from "../export/ready-export.ts";
import type { BuildHost } from "../host.ts";
import { hostArchitecture } from "../recipe/compile-build.ts";

/** What an engine or an exporter finds missing on this machine. */
export interface Checked {
  readonly kind: "engine" | "exporter";
  readonly name: string;
  /** False: there is a finding of severity `error`. Absent: nothing was checked. */
  readonly usable?: boolean;
  readonly findings: readonly Finding[];
  /** Options without which the exporter has no destination to look at; nothing was checked then. Absent: there are none. */
  readonly needs?: readonly string[];
}

interface CheckOptions {
  readonly host: BuildHost;
  readonly signal: AbortSignal;
}

/** Has an engine look at this machine, told what the environment says. Rejects only with `interrupted`; every other error is a finding. */
export async function checkEngine(name: string, { host, signal }: CheckOptions): Promise<Checked> {
  const findings = await foundBy(async () => {
    const engine = await createEngine(host, await chooseEngine(host, { name, options: [] }));
    return engine.check({ signal });
  });
  return checked({ kind: "engine", name, findings });
}

/**
 * Has an exporter look at the destination that its defaults and the environment name. Rejects only with `interrupted`; every other error
 * is a finding. `given`: options as in an export.
 */
export async function checkExporter(
  name: string,
  { host, signal, given = [] }: CheckOptions & { readonly given?: readonly GivenOption[] },
): Promise<Checked> {
  let needs: readonly string[] = [];
  const findings = await foundBy(async () => {
    const { exporter } = await host.parts.exporter(name);
    const owner = { kind: "exporter", name, options: exporter.options } as const;
    const all = [...given, ...optionsFromEnvironment(owner, given, host.env)];
    needs = Object.entries(exporter.options)
      .filter(([option, spec]) => spec.required && !all.some((one) => one.name === option))
      .map(([option]) => option);
    if (needs.length > 0) return [];
    const subject = { name: "check", version: "0", arch: hostArchitecture() };
    const prepared = await exporter.prepare(readOptions(owner, all), contextOf(host, subject));
    return probed(prepared, signal);
  });
  return checked({ kind: "exporter", name, findings, ...(needs.length > 0 ? { needs } : {}) });
}

function checked(result: Omit<Checked, "usable">): Checked {
  if (result.needs) return result;
  return { ...result, usable: !result.findings.some(({ severity }) => severity === "error") };
}

async function foundBy(check: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await check();
  } catch (error) {
    if (!isMelangeError(error)) {
      const message = `the check broke: ${error instanceof Error ? error.message : String(error)}`;
      return [{ severity: "error", message, hint: "Report this to the authors of what was checked." }];
    }
    if (error.code === "interrupted") throw error;
    const problems = error.problems.length > 0 ? error.problems : [error];
    return problems.map(({ message, hint }) => ({ severity: "error", message, hint: hint ?? error.hint }));
  }
}
