import { type Finding, isMelangeError, MelangeError, type PreparedExport, type Tell } from "@melange2/core";

export interface PreflightOptions {
  readonly strict: boolean;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

/**
 * Has the destination looked at before anything runs, and tells what would be in the way. Rejects with `usage` when that is to be an
 * error.
 */
export async function preflight(prepared: PreparedExport, { strict, tell, signal }: PreflightOptions): Promise<void> {
  const { destination } = prepared;
  const findings = await probed(prepared, signal);
  if (strict && findings.length > 0) {
    throw new MelangeError("usage", `the debug image could not be delivered to ${destination}`, {
      hint: "Mend what is listed, or leave out --export-preflight=strict.",
      problems: findings.map(({ message, hint }) => ({ message, hint })),
    });
  }
  for (const { message, hint } of findings) tell({ type: "notice", level: "warning", message, hint });
}

/** A check that breaks says nothing about the destination, and nothing of it may be lost. */
export async function probed(prepared: PreparedExport, signal: AbortSignal): Promise<readonly Finding[]> {
  try {
    return (await prepared.probe?.({ signal })) ?? [];
  } catch (error) {
    if (signal.aborted) throw interrupted(error);
    const message = error instanceof Error ? error.message : String(error);
    const hint = isMelangeError(error) ? error.hint : "Report this to the exporter's authors.";
    return [{ severity: "error", message: `the check of ${prepared.destination} broke: ${message}`, hint }];
  }
}

function interrupted(cause: unknown): MelangeError {
  return new MelangeError("interrupted", "interrupted before the first step", { hint: "Start it again.", cause });
}
