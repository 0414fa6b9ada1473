// For users: indexes read and verified, environments resolved.

// For whoever installs packages: what is in their files, and where it goes.
export { appletsOf, busyboxLinks } from "./busybox-links.ts";
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
export type { InstallPlan, PackagePlan } from "./install-plan.ts";
export { planInstallation } from "./install-plan.ts";
export { installedDatabase, shortChecksum } from "./installed-database.ts";
export { isWhole, layerEntries, wholePackage } from "./layer-entries.ts";
export type { ListingEntries } from "./list-package.ts";
export { listingEntries } from "./list-package.ts";
export type { PackageEntry } from "./package-entries.ts";
export { packageEntries } from "./package-entries.ts";
export type { PackageFile, PackageScript, PackageSource } from "./package-file.ts";
export { openPackageFile, verifyPackageData } from "./package-file.ts";
export type { PackageInfo } from "./package-info.ts";
export { parsePackageInfo } from "./package-info.ts";
export type { ListedBusybox, ListedEntry, ListedScript, PackageListing } from "./package-listing.ts";
export { printable } from "./printable.ts";
export type { Resolved, ResolvedEnvironment } from "./resolve.ts";
export { lock, resolve, resolveEnvironment, UnresolvableError } from "./resolve.ts";
export type { Rules } from "./rules.ts";
export type { PublicKey } from "./signature.ts";
export { publicKey } from "./signature.ts";
export type { SystemOptions } from "./system-layer.ts";
export { systemEntries } from "./system-layer.ts";
export type { Candidate, RepositoryIndex, Universe } from "./universe.ts";
export { createUniverse } from "./universe.ts";
export type { Version } from "./version.ts";
export { compareVersions, parseVersion } from "./version.ts";
