import { Duplex } from "node:stream";
import { create } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { type BytesMessage, BytesMessageSchema, type Control } from "../gen/control_pb.ts";
import { createQueue } from "../queue.ts";

/** The byte stream inside a Session call, on which the daemon is the HTTP/2 client. */
export function openTunnel(control: Client<typeof Control>, headers: Headers): Duplex {
  const outgoing = createQueue<BytesMessage>();
  const stop = new AbortController();
  let drained: (() => void) | undefined;
  const send = (data: Uint8Array, callback: () => void) => {
    outgoing.push(create(BytesMessageSchema, { data })).then(callback);
  };
  const stream = new Duplex({
    read: () => drained?.(),
    write: (chunk: Uint8Array, _encoding, callback) => send(chunk, callback),
    writev: (chunks, callback) => send(Buffer.concat(chunks.map(({ chunk }) => chunk as Uint8Array)), callback),
    final(callback) {
      outgoing.end();
      callback();
    },
    destroy(error, callback) {
      outgoing.end();
      drained?.();
      stop.abort();
      callback(error);
    },
  });
  (async () => {
    for await (const { data } of control.session(outgoing, { headers, signal: stop.signal })) {
      if (!stream.push(data)) {
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
        drained = undefined;
      }
    }
    stream.push(null);
  })().catch((error) => stream.destroy(error));
  return stream;
}
