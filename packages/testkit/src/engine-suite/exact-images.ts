import assert from "node:assert/strict";
import type { Snapshot } from "@melange2/core";
import { entryPath } from "@melange2/oci";
import { treeOf } from "../scripted/tree.ts";
import type { Bench, Declare } from "./bench.ts";
import { suiteSpec } from "./images.ts";

/** What layers show badly or not at all, in a debug image nevertheless. */
export function declareExactImages(declare: Declare): void {
  declare("an image shows what a step changed without changing its size and its time", async (bench) => {
    const before = await bench.succeed(
      "mkdir -p /suite/d; echo -n value=1 > /suite/d/kept; echo same > /suite/d/other",
    );
    const state = await bench.succeed(
      "cd /suite/d; cp kept copy; touch -r kept copy; echo -n value=2 > kept; touch -r copy kept; ln other link",
      before,
    );
    assert.equal(await bench.tell("cat /suite/d/kept", state), "value=2");
    const tree = await imageTree(bench, state);
    assert.equal(tree.text("suite/d/kept"), "value=2");
    assert.equal(tree.text("suite/d/copy"), "value=1");
  });

  declare("an image keeps what a step's file names as if it were deleted", async (bench) => {
    const before = await bench.succeed("mkdir -p /suite/q; echo -n 1 > /suite/q/foo; echo -n 1 > /suite/q/bar");
    const state = await bench.succeed("echo -n 2 > /suite/q/.wh.foo; echo -n 2 > /suite/q/.wh.none", before);
    const tree = await imageTree(bench, state);
    assert.deepEqual([tree.text("suite/q/foo"), tree.text("suite/q/bar")], ["1", "1"]);
  });

  for (const [kind, script] of [
    ["file", "echo mine > /.melange2"],
    ["dangling link", "ln -s /nowhere /.melange2"],
    ["link to a folder", "ln -s /suite /.melange2"],
    ["folder", "mkdir -p /.melange2/note/deep"],
  ] as const)
    declare(`an image has its own files where a step left a ${kind}`, async (bench) => {
      const state = await bench.succeed(script);
      assert.equal(await bench.tell("ls -A / | grep melange2", state), ".melange2");
      const tree = await imageTree(bench, state);
      assert.equal(tree.text(".melange2/note"), "note");
      assert.equal(tree.text("suite/note"), undefined);
    });

  declare("an image shows changes that no size, no time and no list of lines tells", async (bench) => {
    const names = ["back\\\\slash", "new\\nline", "car\\rriage", " blanks ", "-dash", "glob*[a]?", "bar|5"];
    const each = `for name in ${names.map((name) => `"$(printf '%bx' '${name}')"`).join(" ")}; do name=./\${name%x}`;
    const before = await bench.succeed(`mkdir -p /suite/d; cd /suite/d; ${each}; printf 1 >"$name"; done`);
    const state = await bench.succeed(
      `cd /suite/d; ${each}; touch -r "$name" /suite/time; printf 2 >"$name"; touch -r /suite/time "$name"; done`,
      before,
    );
    const tree = await imageTree(bench, state);
    for (const name of ["back\\slash", "new\nline", "car\rriage", " blanks ", "-dash", "glob*[a]?", "bar|5"])
      assert.equal(tree.text(`suite/d/${name}`), "2", JSON.stringify(name));
  });

  declare("a folder keeps its time in an image that shows such a change in it", async (bench) => {
    const before = await bench.succeed("mkdir -p /suite/d; cd /suite/d; echo -n 1 > a; touch -d @1000000000 . ..");
    const state = await bench.succeed(
      "cd /suite/d; touch -r a /tmp/time; echo -n 2 > a; touch -r /tmp/time a; touch -d @1000000000 . ..",
      before,
    );
    const tree = await imageTree(bench, state);
    assert.equal(tree.text("suite/d/a"), "2");
    assert.equal(tree.seconds("suite/d"), 1_000_000_000n);
    assert.equal(tree.seconds("suite"), 1_000_000_000n);
  });

  declare("a link that a step makes to an earlier file is one file with it in the image", async (bench) => {
    const before = await bench.succeed("echo -n 1 > /suite/one; echo -n 1 > /suite/alone");
    const state = await bench.succeed("ln /suite/one /suite/two; ln /bin/busybox /suite/three", before);
    assert.equal(await bench.tell("stat -c %h /suite/one /suite/alone", state), "2\n1");
    const tree = await imageTree(bench, state);
    assert.equal(tree.file("suite/one"), tree.file("suite/two"));
    assert.equal(tree.file("suite/three"), tree.file("bin/busybox"));
    assert.notEqual(tree.file("suite/one"), tree.file("suite/alone"));
  });

  for (const [what, scripts] of [
    ["a name of nothing", ["mkdir -p /suite/q/q; echo -n 1 > /suite/q/q/foo", "echo > /suite/q/.wh."]],
    ["a folder's whole content", ["mkdir -p /suite/q/q; echo -n 1 > /suite/q/q/foo", "echo > /suite/q/.wh..wh..opq"]],
    ["all of the base", ["mkdir -p /suite/q/q; echo -n 1 > /suite/q/q/foo", "echo > /.wh..wh..opq; echo > /.wh.bin"]],
    [
      "a file, until a later step",
      ["echo > /suite/.wh.q", "mkdir -p /suite/q/q; echo -n 1 > /suite/q/q/foo", "rm /suite/.wh.q"],
    ],
  ] as const)
    declare(`an image keeps what a step's file names as if it were deleted: ${what}`, async (bench) => {
      let state = bench.start;
      for (const script of scripts) state = await bench.succeed(script, state);
      const tree = await imageTree(bench, state);
      assert.equal(tree.text("suite/q/q/foo"), "1");
      assert.notEqual(tree.text("bin/busybox"), undefined);
    });

  declare("what a step left in the folder of an image's own files is not in the image", async (bench) => {
    const state = await bench.succeed(
      "mkdir -p /.melange2/env; echo EVIL=1 > /.melange2/env/9999; echo > /.melange2/x",
    );
    assert.equal(await bench.tell("cat /.melange2/env/9999", state), "EVIL=1");
    const tree = await imageTree(bench, state);
    assert.equal(tree.text(".melange2/note"), "note");
    assert.deepEqual([tree.text(".melange2/env/9999"), tree.text(".melange2/x")], [undefined, undefined]);
  });
}

interface ImageTree {
  text(path: string): string | undefined;
  /** mtime. */
  seconds(path: string): bigint | undefined;
  /** The path of the entry that holds the file's bytes: names of one file have the same. */
  file(path: string): string;
}

async function imageTree(bench: Bench, state: Snapshot): Promise<ImageTree> {
  await using local = await bench.session.image(state, suiteSpec()).open({ signal: bench.signal });
  const tree = await treeOf(local.layers);
  return {
    text(path) {
      const body = tree.get(path)?.body;
      return body === undefined ? undefined : Buffer.from(body).toString();
    },
    seconds(path) {
      const mtime = tree.get(path)?.header.mtime;
      return mtime === undefined ? undefined : mtime / 1_000_000_000n;
    },
    file(path) {
      const header = tree.get(path)?.header;
      return header?.type === "hardlink" ? entryPath(header.linkname) : path;
    },
  };
}
