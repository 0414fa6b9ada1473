import { file, type State, scratch } from "@melange2/llb";
import { mediaTypes } from "@melange2/oci";
import { type BuildkitSnapshot, baseSnapshot } from "./snapshot.ts";

/** The same tree as one layer. */
export function flattened(state: State): State {
  const copy = { type: "copy", from: state, source: "/", destination: "/", contents: true } as const;
  return file(scratch, [copy], { name: "melange2 squash" });
}

/** The same tree as a base of one layer, for daemons that take only so many. */
export function asBase({ base, state }: BuildkitSnapshot): BuildkitSnapshot {
  return baseSnapshot({ name: base.name, state: flattened(state), layers: [mediaTypes.layer] });
}
