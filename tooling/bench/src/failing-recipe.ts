import { exec, file, local, marshal, ociLayout, type State } from "@melange2/llb";

// What both sides build. The steps need a POSIX shell and coreutils, so they run on every base. They do little, since their work is the same on
// both sides and only pulls the ratio towards 1: what is compared is what the tools add.

const steps = [
  { name: "unpack", script: 'mkdir src; for i in $(seq 200); do echo "int f$i(void) { return $i; }" >src/f$i.c; done' },
  { name: "patch", script: "sed -i 's/return/return 1 +/' src/*.c; chmod 755 src/f1.c" },
  { name: "configure", script: "cp -r src build; echo ok >build/config.log" },
  { name: "clean", script: "rm -r src" },
  {
    name: "make",
    script: "dd if=/dev/zero of=build/library.a bs=1M count=8 2>/dev/null; echo no rule to go on; exit 2",
  },
  { name: "install", script: "echo never reached" },
] as const;

/** The position of the step that fails. */
const failing = 4;

const workspace = "/home/build";

/** The recipe. YAML takes JSON as it is. */
export function recipe(nonce: string): string {
  const pipeline = steps.map(({ name, script }, index) => ({ name, runs: withNonce(script, index, nonce) }));
  return JSON.stringify({ package: { name: "bench", version: "1.0", epoch: 0 }, pipeline }, undefined, 2);
}

export interface Graphs {
  /** Up to and with the step that fails. */
  readonly failing: Uint8Array;
  /** Up to the step before it: the last state that BuildKit makes an image of. */
  readonly before: Uint8Array;
}

/**
 * The same as BuildKit's graph. The client's layout `base` holds the base under its manifest's digest, its folder `source` is what our
 * workspace starts with.
 */
export function graphs(nonce: string, baseDigest: string): Graphs {
  const base = ociLayout(`base@${baseDigest}`, { store: "base" });
  const start = file(base, [
    { type: "copy", from: local("source"), source: "/", destination: workspace, contents: true },
  ]);
  const run = (state: State, { name, script }: (typeof steps)[number], index: number): State =>
    exec(state, { name, args: ["/bin/sh", "-ec", withNonce(script, index, nonce)], cwd: workspace }).root;
  const before = steps.slice(0, failing).reduce(run, start);
  return { failing: marshal(run(before, steps[failing], failing)).bytes, before: marshal(before).bytes };
}

/** A word in the first step makes it, and so every step after it, one that no cache has. */
function withNonce(script: string, index: number, nonce: string): string {
  return index === 0 ? `: ${nonce}; ${script}` : script;
}
