import { diff, exec, file, isLlbError, marshal, merge, ociLayout } from "@melange2/llb";

const base = ociLayout(`base@sha256:${"ab".repeat(32)}`, { store: "base" });
const tools = exec(base, { args: ["/bin/sh", "-c", "make install"], user: "1000:1000" }).root;

// Several actions are one layer. The fixed time makes the layer the same whenever it is made.
const notes = file(base, [
  { type: "mkdir", path: "/etc/notes", mode: 0o700, owner: { uid: 1000, gid: 1000 }, timestamp: 0n },
  { type: "mkfile", path: "/etc/notes/origin", data: "built by hand\n", timestamp: 0n },
  { type: "remove", path: "/etc/motd", optional: true },
]);

const image = merge([base, diff(base, tools), diff(base, notes)]);
for (const { digest, name } of marshal(image).vertices) console.log(digest, name ?? "");

try {
  exec(base, { args: [] });
} catch (error) {
  if (!isLlbError(error)) throw error;
  console.log(`${error.message}. ${error.hint}`);
}
