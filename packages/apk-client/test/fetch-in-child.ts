import { join } from "node:path";
import { resolveEnvironment } from "@melange2/apk";
import { openRepositories } from "../src/index.ts";

// Opens, resolves and fetches in a process of its own; the argument is { url, folder, key } as JSON.

const { url, folder, key } = JSON.parse(process.argv[2] ?? "") as Record<string, string>;
using repositories = await openRepositories({
  repositories: [url ?? ""],
  keyring: [key ?? ""],
  ignoreSignatures: false,
  arch: "x86_64",
  directory: folder ?? "",
  cacheDirectory: join(folder ?? "", "cache"),
  offline: false,
  variables: {},
  signal: new AbortController().signal,
});
const { packages } = resolveEnvironment(repositories.universe, ["b"]);
const files = await repositories.fetch(
  packages.map(({ record, repository }) => ({
    name: record.name,
    version: record.version,
    repositoryUrl: repository.url,
    checksum: record.checksum,
    size: record.size,
  })),
);
if (files.length !== 2) process.exitCode = 1;
