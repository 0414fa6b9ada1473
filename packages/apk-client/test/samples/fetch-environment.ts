import { resolveEnvironment } from "@melange2/apk";
import { openRepositories } from "@melange2/apk-client";

const [repository = "", key = "", ...world] = process.argv.slice(2);

// Indexes are fetched, or taken from the cache where they have not changed, and their signatures are verified.
using repositories = await openRepositories({
  repositories: [repository],
  keyring: [key],
  ignoreSignatures: false,
  arch: "x86_64",
  directory: process.cwd(),
  cacheDirectory: "apk-cache",
  offline: false,
  variables: process.env,
  signal: AbortSignal.timeout(60_000),
});

// The packages in the order in which they are to be installed. What cannot be resolved is explained.
const { packages } = resolveEnvironment(repositories.universe, world);

// Packages that are in the cache are not fetched; every byte of the others is verified before they are.
const files = await repositories.fetch(
  packages.map(({ record, repository: { url } }) => ({ ...record, repositoryUrl: url })),
);
for (const { path } of files) console.log(path);
