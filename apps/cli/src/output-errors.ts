import { exitCodes } from "./exit-code.ts";

/** For a pipe to a program that reads no further than it needs: its exit code says whether that was right. */
export function ignoreEndedReader(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
}

/**
 * Output that cannot be written ends the output, not the program: a reader that went away (`melange2 … | head`) is no fault, a full
 * disk is told once and makes the exit code of an otherwise good end an engine error's.
 */
export function surviveLostOutput(tell: (message: string) => void): void {
  let told = false;
  // oclif's own listener throws, past everything that could clean up.
  process.stdout.removeAllListeners("error").on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    if (!told) tell(`standard output cannot be written: ${error.message}`);
    told = true;
    process.exitCode ||= exitCodes.engine;
  });
  process.stderr.on("error", () => {});
}
