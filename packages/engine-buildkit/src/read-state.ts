import { posix } from "node:path";
import { type BuildkitClient, isBuildkitError } from "@melange2/buildkit-client";
import type { Bytes } from "@melange2/core";
import { file, marshal, type State, scratch } from "@melange2/llb";
import { notFound, throwIfAborted, translated } from "./foreign-errors.ts";
import { neverRun } from "./permits.ts";
import { pipeToBytes } from "./pipe-to-bytes.ts";

/** A tar of what is at a path of a state, under its own name. Links on the way are followed inside the state, the last name is not. */
export async function* readState(client: BuildkitClient, at: State, path: string, signal: AbortSignal): Bytes {
  throwIfAborted(signal);
  const source = posix.join("/", path);
  const wanted = source === "/" ? at : file(scratch, [{ type: "copy", from: at, source, destination: "/" }]);
  const bytes = pipeToBytes((sink, ended) =>
    client.solve(marshal(wanted).bytes, {
      serve: { secrets: neverRun },
      exports: [{ type: "tar", sink }],
      signal: AbortSignal.any([signal, ended]),
    }),
  );
  try {
    yield* bytes;
  } catch (error) {
    if (isBuildkitError(error) && isMissing(error.message, source)) {
      throw notFound(`there is no ${path} in this state`, "List the folder above it first.");
    }
    throw translated(error, `reading ${path}`);
  }
}

/** Daemons of different ages say it in different words. */
function isMissing(message: string, source: string): boolean {
  return (
    /no such file or directory|not a directory/.test(message) ||
    message.includes(`"${source}": not found`) ||
    message.includes(`"${source}" not found`)
  );
}
