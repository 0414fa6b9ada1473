import { readFile } from "node:fs/promises";
import { connect, directoryTree } from "@melange2/buildkit-client";

const [address = "docker://", graph = "graph.pb", context = "."] = process.argv.slice(2);

await using client = await connect(address);
await using job = client.job({ serve: { trees: { root: directoryTree(context) } } });
const root = await job.solve(await readFile(graph));
await using container = await job.container({ root, network: "none" });
process.exitCode = await container.run({
  args: ["/bin/sh", "-c", "read name && echo hello $name >&2; exit 3"],
  env: { PATH: "/bin:/usr/bin" },
  stdin: process.stdin,
  onOutput: (stream, data) => void process[stream].write(data),
});
