import { createWriteStream } from "node:fs";
import { buildImageConfig, layerFromEntries, readyBlob, tarHeader, writeArchive } from "@melange2/oci";

const body = new TextEncoder().encode("hello\n");
const layer = layerFromEntries([
  { header: tarHeader({ name: "etc", type: "directory" }) },
  { header: tarHeader({ name: "etc/greeting", type: "file", size: body.length }), body },
]);
const config = buildImageConfig({
  platform: { os: "linux", architecture: "amd64" },
  config: { Cmd: ["/bin/sh"], WorkingDir: "/etc" },
  diffIds: [layer.diffId],
  history: ["a greeting"],
  created: "2026-01-01T00:00:00Z",
});
const plain = await readyBlob(layer, "none");

// One file that is an OCI archive and a docker archive at once: docker load, podman and skopeo take it.
const [path = "image.tar"] = process.argv.slice(2);
const file = createWriteStream(path);
const sink = {
  write: (chunk: Uint8Array) => new Promise<void>((done, failed) => file.write(chunk, (e) => (e ? failed(e) : done()))),
  close: () => new Promise<void>((done) => file.end(done)),
};
const written = await writeArchive(sink, {
  config: config.content,
  layers: plain ? [plain] : [],
  names: ["greeting:latest"],
});
console.log(`${written.imageId}, ${written.bytes} bytes`);
