import type { OnEvent } from "@melange2/core";
import type { Contributions } from "@melange2/plugin-host";
import { failureStore, type StoredFailure } from "@melange2/records";
import { MelangeCommand } from "../command.ts";
import { discover } from "../discovery.ts";
import { interruptSignal } from "../interrupt.ts";
import { type Locations, locations } from "../locations.ts";
import { openProgress, type Progress } from "../progress/progress.ts";
import { type KeptBuild, openKeptBuild } from "./kept-build.ts";

/** What the commands on kept builds share. */
export abstract class DebugCommand extends MelangeCommand {
  #progress: Progress | undefined;
  readonly #interrupt = interruptSignal();
  protected readonly onEvent: OnEvent = (event) => this.#progress?.onEvent(event);

  protected get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  protected get locations(): Locations {
    return locations(process.env);
  }

  protected get contributions(): Contributions {
    return discover(this.config);
  }

  protected stored(build: string | undefined): Promise<StoredFailure> {
    return failureStore(this.locations.builds).read(build);
  }

  protected async openKept(build: string | undefined, how: { rerun?: boolean } = {}): Promise<KeptBuild> {
    await this.startProgress();
    const { contributions, locations: where, onEvent, signal } = this;
    return openKeptBuild({ ...how, contributions, locations: where, build, onEvent, signal });
  }

  /** Shows events from now on. Starting it again changes nothing. */
  protected async startProgress(): Promise<void> {
    this.#progress ??= await openProgress("auto", process.stderr);
  }

  /** Leaves the screen to what comes now: the output of the command itself, or a shell. */
  protected endProgress(): void {
    this.#progress?.end();
    this.#progress = undefined;
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    this.endProgress();
    this.#interrupt.dispose();
    await super.finally(error);
  }
}
