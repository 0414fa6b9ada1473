import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const programs = ["sh", "cat", "cut", "env", "grep", "id", "ls", "mkdir", "printenv", "sort", "wc"];

/** A root filesystem of this machine's own shell, a few programs and the libraries they load: for machines without apt. */
export function hostShellRoot(root: string): string {
  for (const folder of ["bin", "dev", "etc", "proc", "sys", "tmp"]) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, "etc", "passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(root, "etc", "group"), "root:x:0:\n");
  for (const program of programs) {
    const found = execFileSync("/bin/sh", ["-c", 'command -v "$0"', program], { encoding: "utf8" }).trim();
    const real = realpathSync(found);
    copy(real, join(root, "bin", program));
    for (const library of librariesOf(real)) copy(realpathSync(library), join(root, library));
  }
  return root;
}

function copy(from: string, to: string): void {
  if (existsSync(to)) return;
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { dereference: true });
}

/** The absolute paths that ldd prints; none for a static program. */
function librariesOf(program: string): readonly string[] {
  try {
    const listing = execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return [...listing.matchAll(/(?:^|\s)(\/\S+)(?=\s+\(0x)/g)].map((match) => match[1] ?? "");
  } catch {
    return [];
  }
}
