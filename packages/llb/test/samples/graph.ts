import { exec, file, image, local, marshal, scratch } from "@melange2/llb";

// Nothing runs here: each call returns a new, immutable state.
const base = image("golang:1.26");
const source = file(scratch, [{ type: "copy", from: local("source"), source: "/", destination: "/", contents: true }]);

const build = exec(base, {
  name: "compile",
  args: ["go", "build", "-o", "/out/", "./..."],
  cwd: "/src",
  env: { PATH: "/usr/local/go/bin:/usr/bin:/bin", CGO_ENABLED: "0" },
  network: "none",
  mounts: [
    { type: "bind", target: "/src", from: source, readonly: true },
    { type: "bind", target: "/out", from: scratch },
    { type: "cache", target: "/root/.cache", id: "go-build", sharing: "locked" },
    { type: "secret", target: "/run/secrets/token", id: "token", optional: true },
  ],
});

// The binaries alone: what the run left in /out, not its root.
const definition = marshal(build.mount("/out"));
process.stdout.write(definition.bytes);
