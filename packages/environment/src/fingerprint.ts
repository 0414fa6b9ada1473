import { createHash, type Hash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { lstat, readdir, realpath, stat } from "node:fs/promises";

/** A cheap stand-in for content: what a stat shows. Differs whenever something was written, renamed, chmodded or given an attribute, as all of these set ctime. */
export interface Fingerprint {
  /** 64 hex digits. */
  readonly key: string;
  /** False: something changed so recently that a later change might not show in its times. Not to be remembered. */
  readonly settled: boolean;
  /** Bytes of all files. */
  readonly bytes: number;
}

export async function fileFingerprint(path: string, salt: string): Promise<Fingerprint> {
  const walk = startWalk(`file\0${salt}\0${await realpath(path)}`);
  walk.see(".", await stat(path, { bigint: true }));
  return walk.result();
}

/** A walk with one lstat for each entry; other file systems mounted inside are left out. 27,000 entries take about half a second. */
export async function directoryFingerprint(path: string, salt: string, signal: AbortSignal): Promise<Fingerprint> {
  const top = await stat(path, { bigint: true });
  const walk = startWalk(`directory\0${salt}\0${await realpath(path)}`);
  const visit = async (directory: Buffer, name: string): Promise<void> => {
    signal.throwIfAborted();
    const names = await readdir(directory, { encoding: "buffer" });
    names.sort(Buffer.compare);
    const children = await Promise.all(
      names.map(async (child) => {
        const at = Buffer.concat([directory, slash, child]);
        return { at, name: `${name}/${child.toString("latin1")}`, stats: await lstat(at, { bigint: true }) };
      }),
    );
    for (const child of children) {
      walk.see(child.name, child.stats);
      if (child.stats.isDirectory() && child.stats.dev === top.dev) await visit(child.at, child.name);
    }
  };
  walk.see(".", top);
  try {
    await visit(Buffer.from(path), "");
  } catch (cause) {
    const { code, path: where } = cause as NodeJS.ErrnoException;
    if (code !== "EACCES") throw cause;
    // Not readable as this user, but perhaps inside a user namespace: read it every time instead.
    return { ...walk.result(), settled: false, key: `unreadable ${where}` };
  }
  return walk.result();
}

const slash = Buffer.from("/");

/** Two ticks of the coarsest clock that file systems use. */
const settleMs = 2000;

function startWalk(salt: string) {
  const hash: Hash = createHash("sha256").update(salt);
  const now = Date.now();
  let settled = true;
  let bytes = 0;
  return {
    see(name: string, s: BigIntStats): void {
      hash.update(
        `\0${name}\0${s.dev} ${s.ino} ${s.mode} ${s.uid} ${s.gid} ${s.rdev} ${s.size} ${s.mtimeNs} ${s.ctimeNs}`,
      );
      if (Number(s.ctimeMs) > now - settleMs) settled = false;
      if (s.isFile()) bytes += Number(s.size);
    },
    result: (): Fingerprint => ({ key: hash.digest("hex"), settled, bytes }),
  };
}
