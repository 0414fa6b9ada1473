import { connect, directoryTree } from "@melange2/buildkit-client";

const [address = "docker://", , context = "."] = process.argv.slice(2);

await using client = await connect(address);
const tree = directoryTree(context);
// Of the context the daemon takes what the Dockerfile copies, and what its .dockerignore leaves.
await client.build(
  { name: "dockerfile.v0", attributes: { filename: "Dockerfile", "build-arg:NAME": "you" } },
  { serve: { trees: { context: tree, dockerfile: tree } }, exports: [{ type: "local", directory: "built" }] },
);
