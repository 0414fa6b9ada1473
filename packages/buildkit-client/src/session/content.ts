import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { Content } from "../gen/content_pb.ts";
import type { Report } from "./session.ts";

/** Blobs by digest: what an oci-layout source is read from. */
export interface BlobStore {
  /** Bytes of the blob; undefined: not here. */
  size(digest: string): Promise<number | undefined>;
  /** Exactly the bytes from `start` up to, not including, `end`. Only for blobs that are here. */
  read(digest: string, start: number, end: number): AsyncIterable<Uint8Array>;
}

const chunkBytes = 1024 * 1024;

/** Serves the registered stores, read-only. */
export function serveStores(stores: Readonly<Record<string, BlobStore>>, report: Report): ServiceImpl<typeof Content> {
  const find = async (digest: string, context: HandlerContext) => {
    const id = context.requestHeader.get("buildkit-attachable-store-id") ?? "";
    const name = id.replace(/^oci:/, "");
    const store = Object.hasOwn(stores, name) ? stores[name] : undefined;
    if (store === undefined) throw new ConnectError(`no content store is served as "${id}"`, Code.NotFound);
    const size = /^sha(256|384|512):[0-9a-f]{64,128}$/.test(digest) ? await store.size(digest) : undefined;
    if (size === undefined) throw new ConnectError(`content ${digest}: not found`, Code.NotFound);
    return { store, size };
  };
  return {
    info: ({ digest }, context) =>
      report.reply(context.signal, async () => {
        const { size } = await find(digest, context);
        return { info: { digest, size: BigInt(size) } };
      }),
    read: (request, context) =>
      report.stream(
        context.signal,
        (async function* () {
          const { store, size } = await find(request.digest, context);
          let position = Number(request.offset);
          const end = request.size === 0n ? size : Math.min(size, position + Number(request.size));
          if (position > size) throw new ConnectError(`offset ${position} of ${size} bytes`, Code.OutOfRange);
          for await (const chunk of store.read(request.digest, position, end)) {
            for (let start = 0; start < chunk.length; start += chunkBytes) {
              const data = chunk.subarray(start, start + chunkBytes);
              yield { offset: BigInt(position), data };
              position += data.length;
            }
          }
        })(),
      ),
  };
}
