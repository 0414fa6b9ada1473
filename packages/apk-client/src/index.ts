// For users: repositories, opened, and packages fetched from them.

export type { HttpVariables } from "./http.ts";
export type { LockedPackage, LockedRequest, LockFile } from "./lock-file.ts";
export { lockedPackages, lockFile, parseLockFile } from "./lock-file.ts";
export type { FetchedPackage, PackageToFetch } from "./package-cache.ts";
export type { Repositories, RepositoriesOptions } from "./repositories.ts";
export { fetchLocked, installedUrl, openRepositories } from "./repositories.ts";
export type { Repository } from "./repository-line.ts";
export { parseRepository } from "./repository-line.ts";
