import { closeSync, openSync, writeSync } from "node:fs";
import type { ByteSink, ImageFile, ImageSpec } from "@melange2/core";

/** What a failed build says of its image, in small. */
export function debugSpec(changes: Partial<ImageSpec> = {}): ImageSpec {
  return {
    config: { Env: ["PATH=/bin"], WorkingDir: "/home/build", Cmd: ["/bin/sh"] },
    platform: { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" },
    labels: { "dev.melange2.step": "main-0" },
    annotations: { "dev.melange2.step": "main-0" },
    created: "2026-01-31T12:00:00Z",
    history: [],
    files: [folder(".melange2"), file(".melange2/record.json", "{}")],
    ...changes,
  };
}

export function file(path: string, content: string): ImageFile {
  const body = Buffer.from(content);
  return {
    path,
    kind: "file",
    mode: 0o644,
    owner: { uid: 0, gid: 0 },
    size: body.length,
    open: async function* () {
      yield body;
    },
  };
}

function folder(path: string): ImageFile {
  return { ...file(path, ""), kind: "directory", mode: 0o755 };
}

export function fileSink(path: string): ByteSink {
  const fd = openSync(path, "wx");
  return {
    async write(chunk) {
      writeSync(fd, chunk);
    },
    async close() {
      closeSync(fd);
    },
  };
}
