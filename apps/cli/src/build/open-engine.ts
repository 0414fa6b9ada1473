import {
  type Engine,
  type EngineSession,
  type Finding,
  MelangeError,
  type OnEvent,
  type SecretSource,
} from "@melange2/core";
import { type Contributions, findContribution, loadEngine } from "@melange2/plugin-host";
import type { Locations } from "../locations.ts";

export interface OpenEngineOptions {
  readonly contributions: Contributions;
  readonly name: string;
  readonly locations: Locations;
  readonly secrets: SecretSource;
  readonly network: boolean;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
}

export async function createEngine(
  options: Pick<OpenEngineOptions, "contributions" | "name" | "locations">,
): Promise<Engine> {
  const factory = await loadEngine(findContribution(options.contributions, "engines", options.name));
  return factory({ stateDirectory: options.locations.engine(options.name), env: process.env, options: {} });
}

/** A session of the engine, after its own check: what it lacks ends the command here, before anything is built. */
export async function openEngine(options: OpenEngineOptions): Promise<EngineSession> {
  const engine = await createEngine(options);
  const { signal, onEvent } = options;
  const findings = await engine.check({ signal });
  const errors = findings.filter((finding) => finding.severity === "error");
  if (errors.length > 0) throw cannotRun(engine.name, errors);
  const notice = ({ message, hint }: Finding) => onEvent({ type: "notice", level: "warning", message, hint });
  findings.forEach(notice);
  return engine.open({ capture: true, secrets: options.secrets, network: options.network, signal, onFinding: notice });
}

function cannotRun(engine: string, findings: readonly Finding[]): MelangeError {
  return new MelangeError("engine", `the engine "${engine}" cannot run here`, {
    hint: findings.length === 1 ? (findings[0]?.hint ?? "") : "Mend what is listed, then build again.",
    problems: findings.map(({ message, hint }) => ({ message, ...(findings.length === 1 ? {} : { hint }) })),
  });
}
