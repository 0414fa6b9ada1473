// For those who build graphs.
export { diff, merge } from "./combine.ts";
export { isLlbError, LlbError } from "./error.ts";
export { type ExecOptions, type Execution, exec, type SecretEnv } from "./exec.ts";
export {
  type CopyAction,
  type FileAction,
  type FileAttributes,
  file,
  type MkdirAction,
  type MkfileAction,
  type Owner,
  type RemoveAction,
} from "./file.ts";
export { type DefinedVertex, type Definition, marshal } from "./marshal.ts";
export type { BindMount, CacheMount, Mount, SecretMount, TmpfsMount } from "./mount.ts";
// For those who look into them.
export { normalizeReference } from "./reference.ts";
export {
  type ImageOptions,
  image,
  type LocalOptions,
  local,
  type OciLayoutOptions,
  ociLayout,
  type SourceOptions,
} from "./source.ts";
export { type State, scratch } from "./state.ts";
export { unmarshal } from "./unmarshal.ts";
export type { Platform, ProgressGroup, Vertex, VertexOptions } from "./vertex.ts";
