import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Packet_PacketType as Kind, type Packet, PacketSchema, type StatSchema } from "../gen/fsutil_pb.ts";
import { receiveTree } from "./receive.ts";

type StatFields = MessageInitShape<typeof StatSchema>;

const directoryBit = 2 ** 31;
const linkBit = 2 ** 27;
let outer = "";
let inner = "";
beforeEach(() => {
  outer = mkdtempSync(join(tmpdir(), "melange2-receive-"));
  inner = join(outer, "inner");
});
afterEach(() => rmSync(outer, { recursive: true, force: true }));

/** A daemon that offers these entries, and gives "data" for each file that it is asked for. */
async function receive(stats: readonly StatFields[], extra: readonly MessageInitShape<typeof PacketSchema>[] = []) {
  const asked: number[] = [];
  const waiting: (() => void)[] = [];
  let finished = false;
  async function* packets(): AsyncGenerator<Packet> {
    for (const stat of stats) yield create(PacketSchema, { type: Kind.PACKET_STAT, stat });
    for (const packet of extra) yield create(PacketSchema, packet);
    yield create(PacketSchema, { type: Kind.PACKET_STAT });
    while (!finished || asked.length > 0) {
      const ID = asked.shift();
      if (ID === undefined) {
        await new Promise<void>((resolve) => waiting.push(resolve));
        continue;
      }
      yield create(PacketSchema, { type: Kind.PACKET_DATA, ID, data: Buffer.from("data") });
      yield create(PacketSchema, { type: Kind.PACKET_DATA, ID });
    }
    yield create(PacketSchema, { type: Kind.PACKET_FIN });
  }
  for await (const answer of receiveTree(inner, packets())) {
    if (answer.type === Kind.PACKET_REQ) asked.push(answer.ID);
    if (answer.type === Kind.PACKET_FIN) finished = true;
    waiting.shift()?.();
  }
}

describe("receiveTree", () => {
  it("writes what it is sent", async () => {
    await receive([
      { path: "d", mode: directoryBit + 0o700 },
      { path: "d/f", mode: 0o600, size: 4n },
      { path: "f", mode: 0o600, linkname: "d/f" },
    ]);
    expect(readFileSync(join(inner, "f"), "utf8")).toBe("data");
  });

  const escapes: readonly [string, readonly StatFields[]][] = [
    ["upwards", [{ path: "../f" }]],
    ["upwards in the middle", [{ path: "d", mode: directoryBit }, { path: "d/../../f" }]],
    ["by an absolute path", [{ path: "/tmp/f" }]],
    ["through a symlink", [{ path: "l", mode: linkBit + 0o777, linkname: ".." }, { path: "l/f" }]],
    ["through a file", [{ path: "x" }, { path: "x/f" }]],
    ["into a directory never sent", [{ path: "d/f" }]],
    ["with an empty name", [{ path: "" }]],
    ["by a hard link to a file outside", [{ path: "f", linkname: "../../etc/passwd" }]],
    [
      "by a hard link to a symlink",
      [
        { path: "l", mode: linkBit, linkname: "/etc/passwd" },
        { path: "m", linkname: "l" },
      ],
    ],
    ["over an entry that is there", [{ path: "f" }, { path: "f" }]],
    [
      "by a second entry that replaces a directory",
      [
        { path: "d", mode: directoryBit },
        { path: "d", mode: linkBit, linkname: ".." },
      ],
    ],
  ];
  it.each(escapes)("lets nothing out %s", async (_, stats) => {
    await expect(receive(stats)).rejects.toThrow();
    expect(readdirSync(outer)).toEqual(["inner"]);
    expect(existsSync(join(outer, "f"))).toBe(false);
  });

  it("refuses data that it did not ask for", async () => {
    const unasked = { type: Kind.PACKET_DATA, ID: 7, data: Buffer.from("x") };
    await expect(receive([{ path: "f" }], [unasked])).rejects.toThrow("which was not asked for");
  });

  it("refuses what it cannot make", async () => {
    await expect(receive([{ path: "p", mode: 2 ** 25 }])).rejects.toThrow("p is a fifo");
  });
});
