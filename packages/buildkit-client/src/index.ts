// For those who build.
export { type AddressOptions, addressForms, parseAddress } from "./address.ts";
export {
  type BuildkitClient,
  connect,
  type DaemonInfo,
  type FilterOptions,
  type PruneOptions,
  type UsageRecord,
  type Worker,
} from "./client.ts";
export type { ConnectOptions } from "./connection.ts";
export type {
  Container,
  ContainerMount,
  ContainerOptions,
  ContainerProcess,
  ContainerTerminal,
  TerminalSize,
} from "./container.ts";
export { BuildkitError, type BuildkitErrorCode, type BuildkitErrorDetails, isBuildkitError } from "./error.ts";
export type { CallOptions, FileInfo, Job, JobResult, ReadOptions, Reference } from "./job.ts";
export { layoutStore } from "./layout-store.ts";
// For those who bring their own transports, trees, stores and sinks.
export type { BlobStore } from "./session/content.ts";
export type { ByteSink } from "./session/file-send.ts";
export type { Credentials, SecretValue, Served } from "./session/session.ts";
export type { Export, Frontend, SolveOptions, SolveResult } from "./solve.ts";
export type { StatusEvent, VertexLog, VertexStatus, VertexTransfer, VertexWarning } from "./status.ts";
export { type CommandOptions, commandTransport } from "./transport/command.ts";
export { dockerTransport } from "./transport/docker.ts";
export { type TcpOptions, type TlsOptions, tcpTransport } from "./transport/tcp.ts";
export type { Link, Transport } from "./transport/transport.ts";
export { unixTransport } from "./transport/unix.ts";
export { type DirectoryOptions, directoryTree } from "./tree/directory.ts";
export type { EntryAttributes, Tree, TreeEntry } from "./tree/entry.ts";
export type { StatType } from "./tree/stat.ts";
