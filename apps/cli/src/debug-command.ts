import {
  type BuildHost,
  failureStore,
  type KeptBuild,
  openKeptBuild,
  type Places,
  type StoredFailure,
} from "@melange2/build";
import type { Exit, Tell } from "@melange2/core";
import type { Contributions } from "@melange2/plugin-host";
import { MelangeCommand } from "./command.ts";
import { discover } from "./discovery.ts";
import { buildHost } from "./host.ts";
import { interruptSignal } from "./interrupt.ts";
import { locations } from "./locations.ts";
import { openProgress, type Progress } from "./progress/progress.ts";

/** What the commands on kept builds share. */
export abstract class DebugCommand extends MelangeCommand {
  #progress: Progress | undefined;
  protected override readonly interrupt = interruptSignal();
  /** The kept build that this command is about, once it is known. */
  #build = "";
  protected readonly tell: Tell = (body) => this.#progress?.onEvent({ ...body, build: this.#build });

  protected get signal(): AbortSignal {
    return this.interrupt.signal;
  }

  protected get locations(): Places {
    return locations(process.env);
  }

  protected get contributions(): Contributions {
    return discover(this.config);
  }

  protected get host(): BuildHost {
    const { contributions, signal } = this;
    return buildHost({ contributions, toolVersion: this.config.version, json: this.asJson, signal });
  }

  protected async stored(build: string | undefined): Promise<StoredFailure> {
    const stored = await failureStore(this.locations.builds).read(build);
    this.#build = stored.id;
    return stored;
  }

  protected async openKept(build: string | undefined, how: { rerun?: boolean } = {}): Promise<KeptBuild> {
    await this.startProgress();
    const { host, tell, signal } = this;
    return openKeptBuild({ ...how, host, stored: await this.stored(build), tell, signal });
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

  /** Ends with what a process in a state ended with. */
  protected endAs(exit: Exit): void {
    process.exitCode = exit.reason === "interrupted" ? this.interrupt.exitCode : exit.code;
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    this.endProgress();
    this.interrupt.dispose();
    await super.finally(error);
  }
}
