// For users: suites that hold an implementation to its contract.
export type { CaptureSuiteOptions } from "./capture-suite.ts";
export { captureSuite } from "./capture-suite.ts";
// For implementers: fakes and parts for tests of their own.
export type { DaemonFault, FakeDockerDaemon, FakeDockerOptions } from "./docker/fake-docker-daemon.ts";
export { fakeDockerDaemon } from "./docker/fake-docker-daemon.ts";
export type { EngineFeature, EngineSubject, EngineSuiteOptions } from "./engine-suite/bench.ts";
export { engineSuite } from "./engine-suite/engine-suite.ts";
export type { ExporterSubject, ExporterSuiteOptions } from "./exporter-suite.ts";
export { exporterSuite, testExportContext } from "./exporter-suite.ts";
export type { LayeredImageParts } from "./layered-image.ts";
export { layeredImage } from "./layered-image.ts";
export { testStep, testUnit } from "./plan-parts.ts";
export type { RandomDebugImageOptions } from "./random-debug-image.ts";
export { randomDebugImage } from "./random-debug-image.ts";
export type { ArchivedImage, ArrivedImage } from "./read-image-archive.ts";
export { readImageArchive } from "./read-image-archive.ts";
export type { AccessOptions } from "./registry/access.ts";
export type { Reply } from "./registry/exchange.ts";
export type { Fault, Misbehaviour } from "./registry/faults.ts";
export type { MemoryRegistry, MemoryRegistryOptions, SeenRequest } from "./registry/memory-registry.ts";
export { startMemoryRegistry } from "./registry/memory-registry.ts";
export type { SuiteOutcome } from "./run-suite.ts";
export { runSuite } from "./run-suite.ts";
export type { FailedScriptedBuild } from "./scripted/failed-build.ts";
export { contents, failedScriptedBuild } from "./scripted/failed-build.ts";
export type {
  ScriptedCall,
  ScriptedEngine,
  ScriptedEngineOptions,
  StepRun,
  StepScript,
} from "./scripted/scripted-engine.ts";
export { scriptedEngine } from "./scripted/scripted-engine.ts";
export type { WorkingTree } from "./scripted/tree.ts";
export type { SuiteTest, SuiteTestContext } from "./suite-test.ts";
