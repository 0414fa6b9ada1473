import {
  cacheMountsOf,
  type EnterOptions,
  type Exit,
  type ImageSpec,
  MelangeError,
  type Snapshot,
} from "@melange2/core";
import type { KeptBuild } from "./kept-build.ts";

export interface ScratchProcess {
  readonly argv: readonly string[];
  readonly workdir: string;
  /** Beyond the step's own environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly interactive: boolean;
  readonly signal: AbortSignal;
}

/** Runs a process in a scratch copy of a kept state, as the step's user, with what was mounted for the step. */
export async function runInScratch(
  kept: KeptBuild,
  at: { readonly snapshot: Snapshot; readonly spec: ImageSpec },
  program: ScratchProcess,
): Promise<Exit> {
  const { step, session } = kept;
  if (!session.enter) {
    throw new MelangeError("engine", `the engine "${kept.stored.states.engine}" cannot open a shell in a kept state`, {
      hint: "Export it and run the image instead: melange2 debug export",
    });
  }
  const options: EnterOptions = {
    signal: program.signal,
    argv: program.argv,
    env: { ...step.env, ...program.env },
    workdir: program.workdir,
    user: step.user,
    mounts: cacheMountsOf(step),
    files: at.spec.files,
    secretEnv: step.secretEnv.filter((name) => kept.secrets.names.includes(name)),
    tty: { interactive: program.interactive },
  };
  return session.enter(at.snapshot, options);
}
