import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { busyboxRoot } from "@melange2-tooling/fixtures";
import { type MadePackage, makeIndex, makePackage, testKey } from "@melange2-tooling/fixtures/apk-packages";
import { arch } from "./melange2.ts";

/** A distribution for tests: a layout, busybox and what recipes need, packed and signed here. */
export interface Distribution {
  /** Writes the repository and its key, `os` and `os.rsa.pub`, into a folder. */
  write(folder: string): Promise<void>;
  /** The same with other packages beside or in the place of those. */
  with(...more: readonly MadePackage[]): Distribution;
}

export const keyName = "os.rsa.pub";

let key: ReturnType<typeof testKey> | undefined;

export async function distribution(): Promise<Distribution> {
  key ??= testKey(keyName);
  return of([await layout(), await busybox(), tool("1.0-r0"), library()]);
}

function of(packages: readonly MadePackage[]): Distribution {
  return {
    with: (...more) => of([...packages.filter(({ file }) => !more.some((one) => one.file === file)), ...more]),
    async write(folder) {
      await mkdir(join(folder, "os", arch), { recursive: true });
      for (const { file, bytes } of packages) await writeFile(join(folder, "os", arch, file), bytes);
      await writeFile(join(folder, "os", arch, "APKINDEX.tar.gz"), makeIndex({ packages, key }));
      await writeFile(join(folder, keyName), key?.publicPem ?? "");
    },
  };
}

const directory = (name: string, mode = 0o755) => ({ name, type: "directory" as const, mode });

async function layout(): Promise<MadePackage> {
  return makePackage(
    {
      name: "layout",
      arch,
      files: [
        ...["bin", "etc", "home", "lib", "sbin", "usr", "usr/bin", "usr/sbin", "var"].map((name) => directory(name)),
        directory("root", 0o700),
        directory("tmp", 0o1777),
        { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\n" },
        { name: "etc/group", content: "root:x:0:\n" },
        { name: "etc/shadow", content: "root:!::0:::::\n", mode: 0o640, gid: 42 },
      ],
    },
    key,
  );
}

async function busybox(): Promise<MadePackage> {
  const { directory: root } = await busyboxRoot();
  const program = readFileSync(join(root, "bin/busybox"));
  // Debian's busybox has no install, which real recipes use.
  const install = readFileSync(join(root, "usr/bin/install"));
  return makePackage(
    {
      name: "busybox",
      arch,
      lines: ["provides = /bin/sh", "provides = cmd:sh=1.0-r0", "depend = layout"],
      files: [
        directory("bin"),
        { name: "bin/busybox", content: program, mode: 0o755 },
        directory("usr"),
        directory("usr/bin"),
        { name: "usr/bin/install", content: install, mode: 0o755 },
      ],
    },
    key,
  );
}

export function tool(version: string, content = `#!/bin/sh\necho tool ${version}\n`): MadePackage {
  return makePackage(
    {
      name: "tool",
      version,
      arch,
      lines: ["depend = /bin/sh", "depend = so:libthing.so.1", "provides = cmd:tool=1"],
      files: [directory("usr"), directory("usr/bin"), { name: "usr/bin/tool", content, mode: 0o755 }],
      scripts: { "post-install": "#!/bin/sh\nexit 99\n" },
    },
    key,
  );
}

function library(): MadePackage {
  return makePackage(
    {
      name: "libthing",
      arch,
      lines: ["provides = so:libthing.so.1=1.0"],
      files: [directory("usr"), directory("usr/lib"), { name: "usr/lib/libthing.so.1", content: "thing", mode: 0o755 }],
    },
    key,
  );
}

/** Serves a folder on loopback, and counts what was asked for. */
export async function serve(
  folder: string,
): Promise<AsyncDisposable & { readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? "");
    try {
      response.end(readFileSync(join(folder, decodeURIComponent(request.url ?? ""))));
    } catch {
      response.writeHead(404).end();
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
