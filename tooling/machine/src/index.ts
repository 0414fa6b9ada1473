export { cached, cacheFolder, removeTree, repositoryRoot } from "./cache.ts";
export type { Debian, RootFilesystem } from "./debian.ts";
export { bootstrap, debian, sourceTarball, unpackedPackage } from "./debian.ts";
export { locked } from "./lock.ts";
export type { Program } from "./programs.ts";
export { ensurePrograms, findProgram, programPackages } from "./programs.ts";
export { isRoot } from "./root.ts";
export type { RunOptions } from "./run.ts";
export { lastLines, run } from "./run.ts";
