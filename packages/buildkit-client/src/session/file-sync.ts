import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { BuildkitError } from "../error.ts";
import type { FileSync } from "../gen/filesync_pb.ts";
import { type Packet, Packet_PacketType, PacketSchema } from "../gen/fsutil_pb.ts";
import { createQueue } from "../queue.ts";
import { inWireOrder, type Tree, type TreeEntry } from "../tree/entry.ts";
import { selection } from "../tree/selection.ts";
import { statOf } from "../tree/stat.ts";
import { type SentHeader, sentHeaders } from "./sent-headers.ts";
import type { Report } from "./session.ts";

const chunkBytes = 32 * 1024;

/** Sends the registered trees, or what is asked for of them. */
export function serveTrees(trees: Readonly<Record<string, Tree>>, report: Report): ServiceImpl<typeof FileSync> {
  return {
    // A refusal is remembered here: a daemon may tell of it only that the call was cancelled.
    diffCopy: (packets, { signal, values }) =>
      report.stream(
        signal,
        send(() => entriesFor(trees, values.get(sentHeaders)), packets),
      ),
  };
}

/** What the daemon asks for: a tree by its name, and of that perhaps a part. */
async function entriesFor(
  trees: Readonly<Record<string, Tree>>,
  headers: readonly SentHeader[],
): Promise<readonly TreeEntry[]> {
  const values = (name: string): readonly string[] => {
    const sent = (header: string) => headers.flatMap(({ name, value }) => (name === header ? [value] : []));
    const encoded = sent(`${name}-encoded`).includes("1");
    return sent(name).map((value) => (encoded ? decodeURIComponent(value.replaceAll("+", " ")) : value));
  };
  const [name = ""] = values("dir-name");
  const tree = Object.hasOwn(trees, name) ? trees[name] : undefined;
  if (tree === undefined) {
    throw new BuildkitError("session", `no directory is served as "${name}"`, {
      hint: "Register a tree of this name with the solve.",
    });
  }
  const select = selection({
    include: values("include-patterns"),
    exclude: values("exclude-patterns"),
    follow: values("followpaths"),
  });
  return select.from(inWireOrder(await Array.fromAsync(tree.entries({ enter: select.enters }))));
}

async function* send(
  offered: () => Promise<readonly TreeEntry[]>,
  packets: AsyncIterable<Packet>,
): AsyncGenerator<Packet> {
  const entries = await offered();
  const requests = createQueue<number>();
  let failure: unknown;
  // The daemon asks for files while it is still being told what there is.
  const reading = (async () => {
    for await (const packet of packets) {
      if (packet.type === Packet_PacketType.PACKET_REQ) void requests.push(packet.ID);
      else if (packet.type === Packet_PacketType.PACKET_ERR) throw refusedByDaemon(packet);
      else if (packet.type === Packet_PacketType.PACKET_FIN) return;
    }
  })()
    .catch((error) => {
      failure = error;
    })
    .finally(() => requests.end());
  const sizes = new Map(entries.flatMap((entry) => (entry.type === "file" ? [[entry.path, entry.size]] : [])));
  const linkedSize = (target: string) => sizes.get(target) ?? 0;
  for (const entry of entries) {
    yield create(PacketSchema, { type: Packet_PacketType.PACKET_STAT, stat: statOf(entry, linkedSize) });
  }
  yield create(PacketSchema, { type: Packet_PacketType.PACKET_STAT });
  for await (const ID of requests) {
    const entry = entries[ID];
    if (entry?.type === "file") yield* sendFile(ID, entry);
    else if (entry?.type === "socket") yield create(PacketSchema, { type: Packet_PacketType.PACKET_DATA, ID });
    else throw new ConnectError(`entry ${ID} is not a file that was offered`, Code.InvalidArgument);
  }
  await reading;
  if (failure !== undefined) throw failure;
  yield create(PacketSchema, { type: Packet_PacketType.PACKET_FIN });
}

function refusedByDaemon({ data }: Packet): BuildkitError {
  return new BuildkitError("request", `the daemon could not take the files: ${new TextDecoder().decode(data)}`, {
    hint: "See the daemon's log for more.",
  });
}

async function* sendFile(ID: number, entry: TreeEntry & { type: "file" }): AsyncGenerator<Packet> {
  let sent = 0;
  for await (const chunk of entry.open()) {
    for (let start = 0; start < chunk.length; start += chunkBytes) {
      const data = chunk.subarray(start, start + chunkBytes);
      sent += data.length;
      yield create(PacketSchema, { type: Packet_PacketType.PACKET_DATA, ID, data });
    }
  }
  if (sent !== entry.size) throw new Error(`${entry.path} had ${entry.size} bytes and now has ${sent}`);
  yield create(PacketSchema, { type: Packet_PacketType.PACKET_DATA, ID });
}
