import type { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { BytesMessageSchema, FileSend, FileSendTree } from "../gen/filesync_pb.ts";
import { receiveTree } from "../tree/receive.ts";
import type { Report } from "./session.ts";

/** Where the bytes of one export go. */
export interface ByteSink {
  /** Resolves when more may be written. */
  write(chunk: Uint8Array): Promise<void>;
  /** All of it was written. Never called when the export failed or was cut off. */
  close(): Promise<void>;
}

/** Receives exports that are one stream, by their place in the solve's list of exports. */
export function serveSinks(sinks: ReadonlyMap<number, ByteSink>, report: Report): ServiceImpl<typeof FileSend> {
  const open = new Map(sinks);
  return {
    diffCopy: (messages, context) => {
      const index = exporterIndex(context);
      const sink = open.get(index);
      if (sink === undefined) throw new ConnectError(`export ${index} is not expected here`, Code.InvalidArgument);
      open.delete(index);
      return report.stream(
        context.signal,
        (async function* () {
          for await (const { data } of messages) await sink.write(data);
          // Connect ends the iteration alike when the daemon went away in the middle.
          context.signal.throwIfAborted();
          await sink.close();
          yield* [] as ReturnType<typeof create<typeof BytesMessageSchema>>[];
        })(),
      );
    },
  };
}

/** Receives the one export that is a tree. */
export function serveDestination(directory: string, report: Report): ServiceImpl<typeof FileSendTree> {
  return { diffCopy: (packets, context) => report.stream(context.signal, receiveTree(directory, packets)) };
}

/** Daemons before 0.13 have one export and no such header. */
function exporterIndex(context: HandlerContext): number {
  return Number(context.requestHeader.get("buildkit-attachable-exporter-id") ?? "0");
}
