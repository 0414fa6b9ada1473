import { connect, directoryTree } from "@melange2/buildkit-client";
import { exec, file, local, marshal, scratch } from "@melange2/llb";

const [address = "unix:///run/buildkit/buildkitd.sock", directory = "rootfs"] = process.argv.slice(2);

// A root filesystem with a shell, from here; image("alpine") has the daemon pull one instead.
const root = file(scratch, [{ type: "copy", from: local("root"), source: "/", destination: "/", contents: true }]);
const run = exec(root, {
  args: ["/bin/sh", "-c", "ls -l /bin | tee /out/programs"],
  env: { PATH: "/bin:/usr/bin" },
  network: "none",
  mounts: [{ type: "bind", target: "/out", from: scratch }],
});

await using client = await connect(address);
await client.solve(marshal(run.mount("/out")).bytes, {
  // What local("root") is.
  serve: { trees: { root: directoryTree(directory) } },
  exports: [{ type: "local", directory: "out" }],
  onStatus({ logs }) {
    for (const { data } of logs) process.stdout.write(data);
  },
});
