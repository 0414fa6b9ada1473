import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Environment } from "@melange2/core";
import { layerFromEntries, tarHeader } from "@melange2/oci";

const busyboxRoot = process.env.MELANGE2_TEST_BUSYBOX_DIR;
export const hasBusybox = busyboxRoot !== undefined;

const applets =
  "sh ash cat chgrp chmod chown cp cut date dd echo env false find grep head id kill ln ls mkdir mkfifo mknod mount mv nc ping printf ps pwd readlink rm rmdir sed seq setsid sleep sort stat su sync tail test touch tr true umount uname wc wget which xargs yes hostname ip ifconfig tty stty getopt unshare nsenter chroot setpriv ulimit".split(
    " ",
  );

/** A base of one static program. */
export function busyboxEnvironment(extra: readonly Parameters<typeof tarHeader>[0][] = []): Environment {
  if (busyboxRoot === undefined) throw new Error("MELANGE2_TEST_BUSYBOX_DIR is not set");
  const body = readFileSync(join(busyboxRoot, "bin/busybox"));
  const folder = (name: string, mode = 0o755) => ({ header: tarHeader({ name, type: "directory", mode }) });
  const text = (name: string, content: string) => ({
    header: tarHeader({ name, type: "file", size: Buffer.byteLength(content) }),
    body: Buffer.from(content),
  });
  const layer = layerFromEntries([
    folder("bin"),
    { header: tarHeader({ name: "bin/busybox", type: "file", mode: 0o755, size: body.length }), body },
    ...applets.map((name) => ({
      header: tarHeader({ name: `bin/${name}`, type: "symlink", linkname: "busybox" }),
    })),
    folder("etc"),
    text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbuild:x:1000:1000::/home/build:/bin/sh\n"),
    text("etc/group", "root:x:0:\nbuild:x:1000:\n"),
    folder("home"),
    { header: tarHeader({ name: "home/build", type: "directory", uid: 1000, gid: 1000 }) },
    folder("tmp", 0o1777),
    folder("var"),
    folder("var/old"),
    text("var/old/a", "a\n"),
    text("var/old/b", "b\n"),
    ...extra.map((header) => ({ header: tarHeader(header) })),
  ]);
  return { platform: { os: "linux", architecture: "amd64" }, config: {}, layers: [layer] };
}
