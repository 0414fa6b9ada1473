import type { Bytes, EngineOptions, Snapshot } from "@melange2/core";
import { overlayText } from "./boot-script.ts";
import { createOptions, outputOf } from "./directory-tar.ts";
import { notFound } from "./foreign-errors.ts";
import { startJob } from "./jobs.ts";
import { localSnapshot } from "./local-snapshot.ts";
import { mountableLayers } from "./merged-layers.ts";
import { shellQuote, shellWords } from "./shell-quote.ts";
import { walkText } from "./walk-text.ts";
import type { WorkSpace } from "./work-space.ts";

/** How GNU tar names a socket, which no tar can hold; other characters than printable ASCII are escaped there. */
const ignoredSocket = /^.*?tar: (.*): socket ignored$/gm;
const namesTold = 5;

function tellSockets(warnings: string, { onFinding }: EngineOptions): void {
  const names = Array.from(warnings.matchAll(ignoredSocket), ([, name]) => name);
  if (names.length === 0) return;
  // Of very many warnings only the last are known.
  const more = names.length > namesTold ? " and others" : "";
  const message = `left out, because a socket is of use to its process only: ${names.slice(0, namesTold).join(", ")}${more}`;
  onFinding?.({ severity: "warning", message, hint: "Have the step remove it: it should be in no package." });
}

const nothingThere = 66;

/** A tar of what is at a path of a state, under its own name. Links on the way are followed inside the state, the last name is not. */
export async function* readState(space: WorkSpace, at: Snapshot, path: string, signal: AbortSignal): Bytes {
  const { host, directory } = space;
  const layers = await mountableLayers(space, localSnapshot(at).layers, signal);
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  const last = names.pop() ?? ".";
  const text = [
    // The kernel wants two layers where there is no upper one.
    ...overlayText(host, directory, { lowers: [...layers.map(directory.shortName).reverse(), "e"] }),
    `absent() { exit ${nothingThere}; }`,
    `circle() { exit ${nothingThere}; }`,
    walkText(shellQuote(host.tool("readlink"))),
    `walk ${shellQuote(names.join("/"))}`,
    `last=${shellQuote(last)}`,
    `[ -e "./$last" ] || [ -L "./$last" ] || exit ${nothingThere}`,
    `exec ${shellWords([host.tool("tar"), ...createOptions(".")])} "$last"`,
  ].join("\n");
  const job = startJob(host, ["/bin/sh", "-c", text], {
    doing: `reading ${path}`,
    signal,
    mounts: true,
    onWarnings: (text) => tellSockets(text, space.options),
    failure: (code) =>
      code === nothingThere
        ? notFound(`there is no ${path} in this state`, "list the folder above it first")
        : undefined,
  });
  job.stdin.end();
  try {
    yield* outputOf(job);
  } finally {
    job.kill();
  }
}
