import { readFile } from "node:fs/promises";
import { connect, directoryTree, isBuildkitError } from "@melange2/buildkit-client";

const [address = "unix:///run/buildkit/buildkitd.sock", graph = "graph.pb", context = "."] = process.argv.slice(2);

try {
  await using client = await connect(address);
  await client.solve(await readFile(graph), {
    // All that the daemon may take from here.
    serve: {
      trees: { root: directoryTree(context, { include: (path) => path !== "node_modules" }) },
      secrets: (id) => (id === "token" ? process.env.TOKEN : undefined),
    },
    exports: [{ type: "local", directory: "out" }],
    onStatus({ vertices, logs }) {
      for (const { name, cached, error } of vertices) console.log(name, cached ? "CACHED" : error);
      for (const { data } of logs) process.stdout.write(data);
    },
  });
} catch (error) {
  if (!isBuildkitError(error)) throw error;
  console.error(`${error.message}\n${error.hint}`);
  process.exitCode = error.exitCode ?? 1;
}
