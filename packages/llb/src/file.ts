import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ownerId, permissions, whole } from "./check.ts";
import { LlbError } from "./error.ts";
import { type ChownOptSchema, FileActionSchema, FileOpSchema } from "./gen/ops_pb.ts";
import { absolutePath } from "./path.ts";
import type { State } from "./state.ts";
import { createInputs, createVertex, type VertexOptions } from "./vertex.ts";

/** One change of a filesystem, made by the daemon itself: no program runs. */
export type FileAction = CopyAction | MkdirAction | MkfileAction | RemoveAction;

type ChangingAction = Exclude<FileAction, RemoveAction>;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface FileAttributes {
  /** root by default; for a copy, as in the source. */
  readonly owner?: Owner;
  /**
   * Permission bits. For a new directory or file at most 0o777, by default 0o755 and 0o644; for a copy at most 0o7777, of
   * which Docker 20.10 sets the lower nine, by default as in the source.
   */
  readonly mode?: number;
  /** mtime in nanoseconds since 1970. The time of the run by default; for a copy, as in the source. */
  readonly timestamp?: bigint;
}

export interface CopyAction extends FileAttributes {
  readonly type: "copy";
  readonly from: State;
  /** Absolute in `from`. */
  readonly source: string;
  /** Absolute; an existing directory, or one written with a slash at its end, receives the source inside it. */
  readonly destination: string;
  /** True: a source that is a directory is copied by its entries, not as an entry. */
  readonly contents?: boolean;
  /** True: missing directories above the destination are made. */
  readonly parents?: boolean;
  /** True: a source that is a symlink is what it leads to. */
  readonly followSymlinks?: boolean;
  /** True: the last part of `source` may hold `*`, `?` and `[…]`; `optional`: and may match nothing. */
  readonly wildcard?: boolean | "optional";
  /** Patterns as in .dockerignore, relative to the source. Need daemon 0.9. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
}

export interface MkdirAction extends FileAttributes {
  readonly type: "mkdir";
  readonly path: string;
  readonly parents?: boolean;
}

/** The whole graph must fit into one message (16 MiB, 4 MiB for old daemons): for more than small files copy from a local source. */
export interface MkfileAction extends FileAttributes {
  readonly type: "mkfile";
  readonly path: string;
  readonly data: Uint8Array | string;
}

export interface RemoveAction {
  readonly type: "remove";
  readonly path: string;
  /** True: nothing there is fine. */
  readonly optional?: boolean;
  readonly wildcard?: boolean;
}

/** The actions applied to `base` in order. However many, they make one layer. */
export function file(base: State, actions: readonly FileAction[], options: VertexOptions = {}): State {
  if (actions.length === 0) {
    throw new LlbError("file", "there are no actions", "Use the state as it is.");
  }
  const inputs = createInputs();
  const first = inputs.index(base);
  const sources = actions.map((action) => (action.type === "copy" ? inputs.index(action.from) : -1));
  const messages = actions.map((action, index) =>
    create(FileActionSchema, {
      // An action continues the one before; actions are numbered behind the inputs.
      input: index === 0 ? first : inputs.list.length + index - 1,
      secondaryInput: sources[index] ?? -1,
      // Old daemons make a layer of every output, so only the last action has one.
      output: index === actions.length - 1 ? 0 : -1,
      action: marshalAction(action),
    }),
  );
  const vertex = createVertex({
    op: { case: "file", value: create(FileOpSchema, { actions: messages }) },
    inputs: inputs.list,
    // Files are the same on every platform, and so is the digest.
    platform: undefined,
    options,
    capabilities: ["file.base", ...actions.flatMap(actionCapabilities)],
  });
  return { vertex, output: 0, platform: base.platform };
}

function marshalAction(action: FileAction): MessageInitShape<typeof FileActionSchema>["action"] & {} {
  switch (action.type) {
    case "copy":
      return {
        case: "copy",
        value: {
          src: absolutePath("copy", action.source),
          dest: destinationPath(action.destination),
          mode: action.mode === undefined ? -1 : permissions("copy, mode", action.mode, 0o7777),
          ...owner(action),
          followSymlink: action.followSymlinks ?? false,
          dirCopyContents: action.contents ?? false,
          createDestPath: action.parents ?? false,
          allowWildcard: (action.wildcard ?? false) !== false,
          allowEmptyWildcard: action.wildcard === "optional",
          timestamp: timestamp(action),
          includePatterns: [...(action.include ?? [])],
          excludePatterns: [...(action.exclude ?? [])],
        },
      };
    case "mkdir":
      return {
        case: "mkdir",
        value: {
          path: absolutePath("mkdir", action.path),
          mode: permissions("mkdir, mode", action.mode ?? 0o755, 0o777),
          makeParents: action.parents ?? false,
          ...owner(action),
          timestamp: timestamp(action),
        },
      };
    case "mkfile":
      return {
        case: "mkfile",
        value: {
          path: absolutePath("mkfile", action.path),
          mode: permissions("mkfile, mode", action.mode ?? 0o644, 0o777),
          data: typeof action.data === "string" ? new TextEncoder().encode(action.data) : action.data,
          ...owner(action),
          timestamp: timestamp(action),
        },
      };
    case "remove":
      return {
        case: "rm",
        value: {
          path: absolutePath("remove", action.path),
          allowNotFound: action.optional ?? false,
          allowWildcard: action.wildcard ?? false,
        },
      };
  }
}

function destinationPath(path: string): string {
  const clean = absolutePath("copy", path);
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

function owner(action: ChangingAction): { owner?: MessageInitShape<typeof ChownOptSchema> } {
  if (action.owner === undefined) return {};
  const uid = ownerId(`${action.type}, owner.uid`, action.owner.uid);
  const gid = ownerId(`${action.type}, owner.gid`, action.owner.gid);
  return { owner: { user: { user: { case: "byID", value: uid } }, group: { user: { case: "byID", value: gid } } } };
}

/** -1 is what a daemon takes for none. */
function timestamp(action: ChangingAction): bigint {
  return action.timestamp === undefined
    ? -1n
    : whole(`${action.type}, timestamp`, action.timestamp, 0n, 2n ** 63n - 1n);
}

function actionCapabilities(action: FileAction): readonly string[] {
  if (action.type === "remove") return action.wildcard === true ? ["file.rm.wildcard"] : [];
  if (action.type !== "copy") return [];
  return action.include === undefined && action.exclude === undefined ? [] : ["file.copy.includeexcludepatterns"];
}
