// For users: what a build is made of, what comes out of it.

export type { BuildOptions, BuildOutcome, FailedStep } from "./builder.ts";
export { runPlan } from "./builder.ts";
export type { ByteSink, Bytes, Digest, StringMap } from "./bytes.ts";
export { capabilityNames, isCapability } from "./capabilities.ts";
export type { Capture, CaptureContext, CaptureStrategy, FailedBuild } from "./capture.ts";
// For implementers of engines, capture strategies and exporters.
export { compressedBeginnings, isCompressed } from "./compressed-file.ts";
export type { DebugImageParts } from "./debug-image.ts";
export { debugDirectory, debugImageSpec } from "./debug-image.ts";
export type { ArchiveRequest } from "./deliver-archive.ts";
export { deliverArchive } from "./deliver-archive.ts";
export type {
  Engine,
  EngineCapabilities,
  EngineOptions,
  EngineSession,
  EnterOptions,
  Exit,
  OutputChunk,
  RunOptions,
  RunResult,
  SearchResult,
  SecretSource,
  Snapshot,
  StateKeeper,
  StateRef,
  Tty,
  UnitRunner,
} from "./engine.ts";
export { noSecrets } from "./engine.ts";
export type { ErrorCode, ErrorDetails, Location, Problem } from "./error.ts";
export { formatLocation, isMelangeError, MelangeError } from "./error.ts";
export type { BuildEvent, EventBody, OnEvent, StepOutline, Tell } from "./events.ts";
export { tellOf } from "./events.ts";
export type { ExportHost } from "./export-context.ts";
export { exportContext } from "./export-context.ts";
export type {
  CapturedFailure,
  CaptureFailureOptions,
  ExportedFailure,
  ExportFailureOptions,
} from "./export-failure.ts";
export { captureFailure, exportFailure } from "./export-failure.ts";
export type {
  ExportContext,
  Exporter,
  ExportOptions,
  FailureNames,
  PreparedExport,
  Receipt,
} from "./exporter.ts";
export { defineExporter } from "./exporter.ts";
export type { Finding } from "./finding.ts";
export type {
  Compression,
  CredentialsFor,
  DebugImage,
  Delivered,
  DeliverOptions,
  Descriptor,
  Environment,
  ImageConfig,
  ImageFile,
  ImageSpec,
  Layer,
  LocalImage,
  Platform,
  Target,
  Tls,
} from "./image.ts";
export { imageName } from "./image-name.ts";
export type { OptionSchema, OptionSpec, Options } from "./option.ts";
export type {
  CacheMount,
  Mount,
  Output,
  Plan,
  SecretUse,
  Source,
  Step,
  Subject,
  Unit,
  UnitStart,
  User,
} from "./plan.ts";
export { ancestryOf, cacheMountsOf, commandOf } from "./plan.ts";
export type {
  CaptureModule,
  EngineContext,
  EngineFactory,
  EngineModule,
  ExporterModule,
  PluginManifest,
} from "./plugin.ts";
export { defineEngine } from "./plugin.ts";
export type {
  CaptureRecord,
  EnvironmentRecord,
  ExportRecord,
  Failure,
  FailureRecord,
  PackageRecord,
  RecordedFailure,
  StepRecord,
  StepState,
  UnitRecord,
} from "./record.ts";
export { describeExit, recordedFailure, recordedSteps, recordVersion } from "./record.ts";
export type { Redact } from "./redaction.ts";
export { matcherOf, printable, redactor } from "./redaction.ts";
export {
  type LostFailure,
  type RestoredFailure,
  type RestoreOptions,
  restoreFailure,
  stepsToRestore,
} from "./restore-failure.ts";
export type { SecretMatcher } from "./secret-matcher.ts";
export { holdsSecret, secretScan } from "./secret-matcher.ts";
export { secretPieces, shortestSecret } from "./secret-pieces.ts";
export type { SearchedEntry } from "./secret-search.ts";
export { searchEntry } from "./secret-search.ts";
export type { StepLog } from "./step-log.ts";
export type { OnTaskProgress, TaskTeller } from "./task.ts";
export { runTask } from "./task.ts";
