import { constants } from "node:fs";
import { chmod, type FileHandle, lchown, link, lutimes, mkdir, open, readdir, symlink, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { BuildkitError } from "../error.ts";
import { type Packet, Packet_PacketType, PacketSchema, type Stat } from "../gen/fsutil_pb.ts";
import { createQueue } from "../queue.ts";
import { permissionsOf, typeOf } from "./stat.ts";

/** Files asked for at a time: each is one open file. */
const window = 32;

/**
 * Writes the tree that the daemon sends into `directory`, which must be missing or empty; yields the answers. Modes
 * and mtimes are kept, owners when this process is root. Nothing is ever written outside: every entry must lie in a
 * directory that was received before it, and nothing that exists is opened.
 */
export async function* receiveTree(directory: string, packets: AsyncIterable<Packet>): AsyncGenerator<Packet> {
  await prepare(directory);
  const answers = createQueue<Packet>();
  let failure: unknown;
  const receiving = receive(directory, packets, (packet) => void answers.push(packet))
    .catch((error) => {
      failure = error;
    })
    .finally(() => answers.end());
  yield* answers;
  await receiving;
  if (failure !== undefined) throw failure;
}

async function receive(root: string, packets: AsyncIterable<Packet>, answer: (packet: Packet) => void): Promise<void> {
  const directories = new Map<string, Stat>([["", undefined as never]]);
  const files = new Map<string, number>();
  const wanted: { id: number; stat: Stat }[] = [];
  const links: Stat[] = [];
  const writing = new Map<number, { stat: Stat; handle: FileHandle }>();
  let announced = false;
  let next = 0;
  const request = async () => {
    while (writing.size < window && wanted.length > 0) {
      const { id, stat } = wanted.shift() as { id: number; stat: Stat };
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      writing.set(id, { stat, handle: await open(join(root, stat.path), flags, 0o600) });
      answer(create(PacketSchema, { type: Packet_PacketType.PACKET_REQ, ID: id }));
    }
    if (announced && writing.size === 0 && wanted.length === 0) {
      for (const stat of links) await link(join(root, stat.linkname), join(root, stat.path));
      for (const stat of [...directories.values()].reverse()) if (stat !== undefined) await settle(root, stat);
      answer(create(PacketSchema, { type: Packet_PacketType.PACKET_FIN }));
    }
  };
  try {
    for await (const packet of packets) {
      switch (packet.type) {
        case Packet_PacketType.PACKET_STAT: {
          const { stat } = packet;
          if (stat === undefined) {
            announced = true;
            await request();
            break;
          }
          const id = next++;
          checkPlace(stat.path, directories);
          const type = typeOf(stat);
          if (type === "directory") {
            await mkdir(join(root, stat.path), 0o700);
            directories.set(stat.path, stat);
          } else if (type === "symlink") {
            await symlink(stat.linkname, join(root, stat.path));
            await settle(root, stat);
          } else if (type !== "file") {
            throw refuse(`${stat.path} is a ${type}, which cannot be made here`);
          } else if (stat.linkname !== "") {
            if (!files.has(stat.linkname)) throw refuse(`${stat.path} links to ${stat.linkname}, which was not sent`);
            links.push(stat);
          } else {
            files.set(stat.path, id);
            wanted.push({ id, stat });
            await request();
          }
          break;
        }
        case Packet_PacketType.PACKET_DATA: {
          const file = writing.get(packet.ID);
          if (file === undefined) throw refuse(`data came for entry ${packet.ID}, which was not asked for`);
          if (packet.data.length > 0) {
            await file.handle.writeFile(packet.data);
            break;
          }
          writing.delete(packet.ID);
          await file.handle.close();
          await settle(root, file.stat);
          await request();
          break;
        }
        case Packet_PacketType.PACKET_ERR:
          throw refuse(new TextDecoder().decode(packet.data));
        case Packet_PacketType.PACKET_FIN:
          return;
      }
    }
    throw refuse("the daemon stopped before all of it was there");
  } finally {
    for (const { handle } of writing.values()) await handle.close();
  }
}

async function prepare(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  if ((await readdir(directory)).length > 0) {
    throw new BuildkitError("session", `${directory} is not empty`, { hint: "Export to a directory of its own." });
  }
}

function checkPlace(path: string, directories: ReadonlyMap<string, Stat>): void {
  const names = path.split("/");
  const odd = path.includes("\0") || names.some((name) => name === "" || name === "." || name === "..");
  const parent = dirname(path) === "." ? "" : dirname(path);
  if (odd || !directories.has(parent)) throw refuse(`"${path}" leaves its destination`);
}

/** Owner before mode, because a change of owner clears setuid; the time last. */
async function settle(root: string, stat: Stat): Promise<void> {
  const path = join(root, stat.path);
  const seconds = Number(stat.modTime) / 1e9;
  if (process.getuid?.() === 0) await lchown(path, stat.uid, stat.gid);
  if (typeOf(stat) === "symlink") {
    await lutimes(path, seconds, seconds);
    return;
  }
  await chmod(path, permissionsOf(stat));
  await utimes(path, seconds, seconds);
}

function refuse(problem: string): BuildkitError {
  return new BuildkitError("session", `local export: ${problem}`, {
    hint: "Export an archive instead, if the daemon is to be trusted.",
  });
}
