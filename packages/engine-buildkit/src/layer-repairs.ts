import { debugDirectory, type EngineOptions } from "@melange2/core";
import { exec, file, merge, type State, scratch } from "@melange2/llb";
import { flattened } from "./flattened-state.ts";
import type { BuildkitSnapshot } from "./snapshot.ts";
import type { StateComparison } from "./state-comparison.ts";
import { wrapperPath } from "./unit-op.ts";

/** Tells what an image does not show as it is in the state. */
export function tellDifferences(
  { reserved, rootChanged, unsure }: StateComparison,
  { onFinding }: EngineOptions,
): void {
  const hint = "melange2 debug shell shows all files as they are.";
  const tell = (message: string) => onFinding?.({ severity: "warning", message, hint });
  if (reserved.length > 0) {
    const names = reserved.slice(0, 3).join(", ") + (reserved.length > 3 ? ` and ${reserved.length - 3} more` : "");
    tell(`the image is without ${names}: in an image such a name says that another file is gone`);
  }
  if (rootChanged)
    tell("the image's / has the mode and owner that it has in the base: BuildKit puts no others into an image");
  if (unsure === "many") {
    tell(
      "a file that a step changed without changing its size and time may be shown as it was before: too many files changed to compare them",
    );
  }
  if (unsure === "tools") {
    tell(
      "the image may show a file as it was before a step changed it: the base lacks find, stat, sort, sed, awk or md5sum, which finding such files takes",
    );
  }
}

const stateFolder = "/dev/.melange2-state";
const sourceFolder = "/dev/.melange2-source";

/** The tree without what no layer can hold, as one layer. The base's own programs take it out, since a daemon's removal takes no names that are not UTF-8. */
export function withoutReserved({ base, state }: BuildkitSnapshot): State {
  return flattened(changedBy(base.state, state, `find ${stateFolder} -name '.wh.*' -prune -exec rm -rf {} +`));
}

/** The state without what is at `/.melange2`, whatever it is. Docker 20.10 itself would remove what a link leads to. */
export function withRoom(state: State, { base }: BuildkitSnapshot): State {
  return changedBy(base.state, state, `rm -rf ${stateFolder}/${debugDirectory}`);
}

/** A copy gives the folders above what it copies the time of the copy. */
const folderTimes = `command -v touch >/dev/null || exit 0
cd ${stateFolder} && find . -type d -exec sh -c 'for folder; do touch -r "${sourceFolder}/$folder" "$folder"; done' sh {} +`;

/** What the script leaves of the state at `stateFolder`, where it finds `source` at `sourceFolder`. */
function changedBy(tools: State, state: State, script: string, source?: State): State {
  return exec(tools, {
    name: "melange2 removed files",
    args: ["/bin/sh", "-c", script],
    env: { PATH: wrapperPath },
    readonlyRoot: true,
    network: "none",
    mounts: [
      { type: "bind", target: stateFolder, from: state },
      ...(source === undefined ? [] : [{ type: "bind", target: sourceFolder, from: source, readonly: true } as const]),
    ],
  }).mount(stateFolder);
}

/** The image with the files that its layers do not show, in one layer more. */
export function withHidden(image: State, from: State, { base }: BuildkitSnapshot, { hidden }: StateComparison): State {
  const files = hiddenFiles(from, hidden);
  // In a layer of its own a folder's time alone would be no change.
  return merge([image, flattened(changedBy(base.state, files, folderTimes, from))]);
}

/** These files alone, with the folders that they are in. */
export function hiddenFiles(from: State, hidden: readonly string[]): State {
  const copy = { type: "copy", from, source: "/", destination: "/", contents: true } as const;
  return file(scratch, [{ ...copy, include: hidden.map(patternOf) }], { name: "melange2 restored files" });
}

/** What has a meaning in patterns, or no form in UTF-8, stands for any character: more of the same state may come with it. */
function patternOf(path: string): string {
  return path
    .slice(1)
    .replaceAll(/[*?[\]\\!\s]/g, "?")
    .replaceAll(/\uFFFD+/g, "*");
}
