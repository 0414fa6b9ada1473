import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { type ByteSink, connect, directoryTree } from "@melange2/buildkit-client";

const [address = "unix:///run/buildkit/buildkitd.sock", graph = "graph.pb", context = "."] = process.argv.slice(2);

const file = createWriteStream("image.tar", { flags: "wx", mode: 0o600 });
const sink: ByteSink = {
  write: (chunk) => new Promise((resolve, reject) => file.write(chunk, (error) => (error ? reject(error) : resolve()))),
  close: () => finished(file.end()),
};

await using client = await connect(address);
await using job = client.job({
  serve: { trees: { root: directoryTree(context) } },
  exports: [{ type: "oci", sink }],
});
const built = await job.solve(await readFile(graph));
for (const { name, mode, size } of await job.readDir(built, "/")) console.log(mode.toString(8), size, name);

const config = { architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [] } };
const { response } = await job.finish({
  reference: built,
  metadata: { "containerimage.config": JSON.stringify(config) },
});
console.log(response["containerimage.digest"]);
