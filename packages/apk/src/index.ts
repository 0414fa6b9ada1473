// For users: indexes read and verified, environments resolved.

// For whoever works with the format's parts.
export type { Constraint, Operator } from "./constraint.ts";
export { parseConstraint, satisfies } from "./constraint.ts";
export type { ApkErrorCode, ApkErrorDetails } from "./error.ts";
export { ApkError, isApkError } from "./error.ts";
export type { Explanation } from "./explanation.ts";
export { formatExplanation } from "./explanation.ts";
export type { PackageIndex, ReadIndexOptions } from "./index-archive.ts";
export { readIndexArchive } from "./index-archive.ts";
export type { PackageRecord } from "./index-text.ts";
export { parseIndexText } from "./index-text.ts";
export type { Resolved, ResolvedEnvironment } from "./resolve.ts";
export { lock, resolve, resolveEnvironment, UnresolvableError } from "./resolve.ts";
export type { Rules } from "./rules.ts";
export type { PublicKey } from "./signature.ts";
export { publicKey } from "./signature.ts";
export type { Candidate, RepositoryIndex, Universe } from "./universe.ts";
export { createUniverse } from "./universe.ts";
export type { Version } from "./version.ts";
export { compareVersions, parseVersion } from "./version.ts";
