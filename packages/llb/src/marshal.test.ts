import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { diff, merge } from "./combine.ts";
import { exec } from "./exec.ts";
import { file } from "./file.ts";
import { DefinitionSchema, OpSchema } from "./gen/ops_pb.ts";
import { marshal } from "./marshal.ts";
import { image, local } from "./source.ts";
import { type State, scratch } from "./state.ts";
import { unmarshal } from "./unmarshal.ts";
import { sha256 } from "./vertex.ts";

const base = image("alpine");
const run = (from: State, script: string, options = {}) => exec(from, { args: ["sh", "-c", script], ...options });

describe("marshal", () => {
  it("puts inputs before their users and names the result last", () => {
    const left = run(base, "left").root;
    const right = run(base, "right", { mounts: [{ type: "bind", target: "/out", from: scratch }] }).mount("/out");
    const { bytes, digest, vertices } = marshal(merge([left, right]));
    const definition = fromBinary(DefinitionSchema, bytes);
    const digests = definition.def.map(sha256);
    definition.def.forEach((op, index) => {
      for (const input of fromBinary(OpSchema, op).inputs) expect(digests.slice(0, index)).toContain(input.digest);
    });
    expect(vertices.map((vertex) => vertex.digest)).toEqual(digests.slice(0, -1));
    expect(Object.keys(definition.metadata).sort()).toEqual(digests.slice(0, -1).sort());
    const last = fromBinary(OpSchema, definition.def.at(-1) as Uint8Array);
    expect(last.inputs).toMatchObject([{ digest, index: 0 }]);
    expect(fromBinary(OpSchema, definition.def.at(-2) as Uint8Array).inputs[1]).toMatchObject({ index: 1 });
  });

  // A changed digest is a cold cache for everyone: this one changes only on purpose.
  it("gives a known graph its known digest", () => {
    const state = run(image("alpine", { platform: { os: "linux", architecture: "amd64" } }), "make").root;
    expect(state.vertex?.digest).toBe("sha256:58c58cf664b41c9829bf5cf0057d05bae0695a53e2e29a8ffe4fa3a8bcc0dadd");
  });

  it("takes vertices that do the same for one, whatever they are called", () => {
    const first = run(base, "make", { name: "first", description: { a: "1" } }).root;
    const second = run(image("docker.io/library/alpine:latest"), "make", { name: "second", ignoreCache: true }).root;
    const { bytes, vertices } = marshal(merge([first, file(second, [{ type: "remove", path: "/x" }])]));
    expect(vertices).toHaveLength(4);
    const digest = first.vertex?.digest as string;
    expect(vertices[1]).toEqual({ digest, name: "first" });
    expect(fromBinary(DefinitionSchema, bytes).metadata[digest]).toMatchObject({
      ignoreCache: true,
      description: { "llb.customname": "first", a: "1" },
      caps: { "exec.meta.base": true, "meta.description": true, "meta.ignorecache": true },
    });
  });

  it("keeps what it is told about a vertex out of its digest", () => {
    const plain = run(base, "make").root.vertex?.digest;
    const told = run(base, "make", { name: "n", ignoreCache: true, progressGroup: { id: "g", name: "g" } }).root;
    expect(told.vertex?.digest).toBe(plain);
    expect(run(base, "make", { user: "1" }).root.vertex?.digest).not.toBe(plain);
  });

  it("is not deterred by a chain that recursion would not survive", () => {
    let state: State = base;
    for (let step = 0; step < 12_000; step++) state = file(state, [{ type: "mkdir", path: `/${step}` }]);
    expect(marshal(state).vertices).toHaveLength(12_001);
  });

  it("makes nothing of scratch", () => {
    expect(marshal(scratch)).toEqual({ bytes: new Uint8Array(), digest: undefined, vertices: [] });
    expect(merge([scratch, scratch])).toBe(scratch);
    expect(merge([scratch, base])).toBe(base);
    expect(diff(scratch, base)).toBe(base);
    expect(diff(scratch, scratch)).toBe(scratch);
  });

  it("names the fields that a daemon may not know", () => {
    const state = run(local("x", { sharedKeyHint: "k" }), "make", {
      validExitCodes: [0, 1],
      secretEnv: [{ name: "T", id: "t" }],
      network: "none",
      security: "insecure",
      mounts: [{ type: "tmpfs", target: "/t", size: 1 }],
    }).root;
    expect(state.vertex?.capabilities).toEqual([
      "exec.meta.base",
      "exec.meta.network",
      "exec.meta.security",
      "exec.mount.bind",
      "exec.mount.tmpfs",
      "exec.mount.tmpfs.size",
      "exec.secretenv",
      "exec.validexitcode",
    ]);
    expect(state.vertex?.inputs[0]?.capabilities).toEqual(["source.local", "source.local.sharedkeyhint"]);
  });
});

describe("a state", () => {
  it("is not changed by what becomes of the objects that it was made of", () => {
    const platform = { os: "linux", architecture: "arm64" };
    const description = { a: "1" };
    const progressGroup = { id: "g", name: "g" };
    const made = image("alpine", { platform, description, progressGroup });
    const ran = exec(local("a"), { args: ["a"], platform, description, progressGroup }).root;
    const before = [made, ran, run(made, "on").root, run(ran, "on").root].map((state) => marshal(state).bytes);
    platform.architecture = "amd64";
    description.a = "2";
    progressGroup.name = "h";
    expect([made, ran, run(made, "on").root, run(ran, "on").root].map((state) => marshal(state).bytes)).toEqual(before);
  });
});

describe("unmarshal", () => {
  it("gives the state that was marshalled: the same bytes, and the same graph on top of it", () => {
    const mounts = [{ type: "bind", target: "/out", from: scratch }] as const;
    const options = { name: "named", description: { a: "1" }, ignoreCache: true, mounts };
    const platform = { os: "linux", architecture: "arm64", variant: "v8" };
    const made = exec(image("alpine", { platform }), { args: ["sh", "-c", "true"], ...options });
    const arm = image("alpine", { platform });
    const onScratch = exec(scratch, { args: ["a"], mounts: [{ type: "bind", target: "/in", from: arm }] });
    const copied = file(scratch, [{ type: "copy", from: arm, source: "/", destination: "/" }]);
    const written = file(arm, [{ type: "mkdir", path: "/a" }]);
    for (const state of [
      ...[base, run(base, "one").root, made.root, made.mount("/out"), merge([made.root, base])],
      ...[onScratch.root, onScratch.mount("/in"), copied, written, merge([base, made.root]), merge([written, base])],
      ...[diff(base, arm), diff(arm, base), diff(arm, scratch), diff(copied, written), diff(written, copied)],
    ]) {
      const again = unmarshal(marshal(state).bytes);
      expect(Buffer.from(marshal(again).bytes).equals(marshal(state).bytes)).toBe(true);
      expect(again.output).toBe(state.output);
      expect(again.platform).toEqual(state.platform);
      expect(run(again, "on").root.vertex?.digest).toBe(run(state, "on").root.vertex?.digest);
    }
  });

  it("gives scratch for what scratch is marshalled to", () => {
    expect(unmarshal(marshal(scratch).bytes)).toBe(scratch);
  });

  it("is not deterred by a chain that recursion would not survive", () => {
    let state: State = base;
    for (let step = 0; step < 12_000; step++) state = file(state, [{ type: "mkdir", path: `/${step}` }]);
    expect(unmarshal(marshal(state).bytes).vertex?.digest).toBe(state.vertex?.digest);
  });

  it("holds nothing of the buffer that it is given", () => {
    const { bytes } = marshal(run(base, "make").root);
    const given = Buffer.from(bytes);
    const state = unmarshal(given);
    given.fill(0);
    expect(Buffer.from(marshal(state).bytes).equals(bytes)).toBe(true);
  });

  it("refuses what is no definition", () => {
    for (const bytes of [Buffer.from("no definition"), marshal(run(base, "x").root).bytes.slice(0, 90)]) {
      expect(() => unmarshal(bytes)).toThrow(/^unmarshal: this is no definition/);
    }
  });
});
