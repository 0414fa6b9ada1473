import {
  type Engine,
  type EngineSession,
  type Finding,
  MelangeError,
  type SecretSource,
  type Tell,
} from "@melange2/core";
import type { BuildHost } from "../host.ts";
import { createEngine, type EngineChoice } from "./choose-engine.ts";

export interface OpenEngineOptions {
  readonly host: BuildHost;
  readonly engine: EngineChoice;
  readonly secrets: SecretSource;
  readonly network: boolean;
  /** Whether the state that a failing step leaves is kept. Default: true. */
  readonly capture?: boolean;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

/** The engine after its own check: what the machine lacks is refused here, with code `engine`. */
export async function checkedEngine({
  host,
  engine: choice,
  signal,
  tell,
}: Pick<OpenEngineOptions, "host" | "engine" | "tell" | "signal">): Promise<Engine> {
  const engine = await createEngine(host, choice);
  const findings = await engine.check({ signal });
  const errors = findings.filter((finding) => finding.severity === "error");
  if (errors.length > 0) throw cannotRun(engine.name, errors);
  findings.forEach(noticeTo(tell));
  return engine;
}

export function openSession(
  engine: Engine,
  {
    secrets,
    network,
    capture = true,
    tell,
    signal,
  }: Pick<OpenEngineOptions, "secrets" | "network" | "capture" | "tell" | "signal">,
): Promise<EngineSession> {
  return engine.open({ capture, secrets, network, signal, onFinding: noticeTo(tell) });
}

export const openEngine = async (options: OpenEngineOptions): Promise<EngineSession> =>
  openSession(await checkedEngine(options), options);

const noticeTo =
  (tell: Tell) =>
  ({ message, hint }: Finding): void =>
    tell({ type: "notice", level: "warning", message, hint });

function cannotRun(engine: string, findings: readonly Finding[]): MelangeError {
  return new MelangeError("engine", `the engine "${engine}" cannot run here`, {
    hint: findings.length === 1 ? (findings[0]?.hint ?? "") : "Mend what is listed, then build again.",
    problems: findings.map(({ message, hint }) => ({ message, ...(findings.length === 1 ? {} : { hint }) })),
  });
}
