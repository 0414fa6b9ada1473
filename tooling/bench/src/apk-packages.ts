import { createUniverse, publicKey, readIndexArchive, resolveEnvironment, type Universe } from "@melange2/apk";
import { makeIndex, testKey } from "@melange2-tooling/fixtures/apk-packages";
import { median } from "./samples.ts";

/** Milliseconds, medians. */
export interface ApkMeasurement {
  /** From the bytes of a signed index of 5,000 packages to the tables that the resolver looks in. */
  readonly read: number;
  /** An environment of 60 packages, resolved and resolved again as the lock, as each build does. */
  readonly resolve: number;
  /** Packages in the resolved environment. */
  readonly resolved: number;
}

const packages = 5_000;
const wanted = 60;

/** Reads and resolves in this process, which has done both before: the first time costs the engine's compiler, too. */
export async function measureApk(rounds: number): Promise<ApkMeasurement> {
  const key = testKey();
  const index = makeIndex({ packages: Array.from({ length: packages }, (_, at) => ({ record: record(at) })), key });
  const keys = [publicKey(key.name, key.publicPem)];
  const open = async (): Promise<Universe> => {
    const { packages } = await readIndexArchive(index, { what: "the index", keys });
    return createUniverse([{ url: "https://packages.example.com/x86_64", tag: "", packages }]);
  };
  const universe = await open();
  const world = [`package-${wanted - 1}`];
  const resolve = () => resolveEnvironment(universe, world).packages.length;
  for (let warm = 0; warm < 20; warm++) resolve();
  const times = { read: [] as number[], resolve: [] as number[] };
  for (let round = 0; round < rounds * 3; round++) {
    times.read.push(await milliseconds(open));
    times.resolve.push(await milliseconds(resolve));
  }
  return { read: median(times.read), resolve: median(times.resolve), resolved: resolve() };
}

/** A package as large indexes have them: it needs the one before it and a library of another, and provides names of its own. */
function record(at: number): string {
  const needs = at === 0 ? [] : [`package-${at - 1}`, `so:lib${Math.floor(at / 2)}.so.1`];
  const provides = [`so:lib${at}.so.1=1.${at}.0`, `cmd:tool-${at}=1.${at}-r0`, `pc:package-${at}=1.${at}`];
  return [
    `C:Q1${Buffer.alloc(20, at).toString("base64")}`,
    `P:package-${at}`,
    `V:1.${at}-r0`,
    "A:x86_64",
    `S:${1000 + at}`,
    `I:${4000 + at}`,
    `T:what the package of the number ${at} is about`,
    "U:https://example.com/about/package",
    "L:Apache-2.0",
    `o:origin-${at >> 2}`,
    "m:A Maintainer <maintainer@example.com>",
    `t:${1_700_000_000 + at}`,
    "c:0123456789abcdef0123456789abcdef01234567",
    `D:${needs.join(" ")}`,
    `p:${provides.join(" ")}`,
    "",
    "",
  ].join("\n");
}

async function milliseconds(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
