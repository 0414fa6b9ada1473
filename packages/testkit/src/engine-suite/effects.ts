import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { assertRejects, type Declare, drained, type EngineSuiteOptions, suiteTime, texts } from "./bench.ts";

/** States: what a step changes is in the state it leaves, nothing else is, and no state ever changes. */
export function declareEffects(declare: Declare, lacks: EngineSuiteOptions["lacks"] = {}): void {
  declare("an environment is there as its layers say", async ({ session, start, look }) => {
    const tree = await look(start, "/suite");
    const seen = Object.fromEntries(
      [...tree].map(([path, { header }]) => [
        path,
        `${header.type} ${header.mode.toString(8)} ${header.uid}:${header.gid}`,
      ]),
    );
    // A tar names the first of two hard links, in its own order, a file.
    const [first, second] = tree.get("keep")?.header.type === "file" ? ["file", "hardlink"] : ["hardlink", "file"];
    assert.deepEqual(seen, {
      "": "directory 755 0:0",
      keep: `${first} 640 0:0`,
      hard: `${second} 640 0:0`,
      delete: "file 644 0:0",
      change: "file 644 0:0",
      setuid: "file 4755 0:0",
      ümläut: "file 644 0:0",
      link: "symlink 777 0:0",
      folder: "directory 755 0:0",
      "folder/inner": "file 644 0:0",
      open: "directory 1777 0:0",
    });
    assert.equal(tree.get("link")?.header.linkname, "keep");
    const expected = session.can.mtime === "ns" ? suiteTime : (suiteTime / 1_000_000_000n) * 1_000_000_000n;
    const found = tree.get("change")?.header.mtime ?? 0n;
    const seenTime = session.can.mtime === "ns" ? found : (found / 1_000_000_000n) * 1_000_000_000n;
    assert.equal(seenTime, expected, "the mtime of a file of the base");
  });

  declare(
    "what a step adds, changes, moves and deletes is in the state it leaves, and not in the one before",
    async (bench) => {
      const { start, look } = bench;
      const before = texts(await look(start, "/suite"));
      const after = await bench.succeed(
        `cd /suite; rm delete; echo -n after > change; mv folder moved; mkdir -m 700 -p new/deep; echo -n new > new/deep/file
       ln -s keep new/link; ln new/deep/file new/hard; chmod 4711 new/deep/file; mkfifo new/fifo; rm link; mkdir link; echo -n x > link/x
       touch -d @1 new/old; touch -d @4000000000 new/future`,
      );
      const tree = await look(after, "/suite");
      const names = [...tree.keys()].sort();
      assert.deepEqual(names, [
        "",
        "change",
        "hard",
        "keep",
        "link",
        "link/x",
        "moved",
        "moved/inner",
        "new",
        "new/deep",
        "new/deep/file",
        ...(lacks.fifos === undefined ? ["new/fifo"] : []),
        "new/future",
        "new/hard",
        "new/link",
        "new/old",
        "open",
        "setuid",
        "ümläut",
      ]);
      assert.equal(tree.get("change")?.text, "after");
      assert.equal(tree.get("moved/inner")?.text, "inner");
      assert.equal(tree.get("link")?.header.type, "directory");
      assert.equal(tree.get("new/link")?.header.linkname, "keep");
      if (lacks.fifos === undefined) assert.equal(tree.get("new/fifo")?.header.type, "fifo");
      const linked = [tree.get("new/deep/file"), tree.get("new/hard")].map((node) => node?.header.type).sort();
      assert.deepEqual(linked, ["file", "hardlink"]);
      assert.equal(tree.get("new/deep/file")?.header.mode, 0o4711);
      assert.equal(tree.get("new/deep")?.header.mode, 0o700);
      assert.equal(tree.get("new/old")?.header.mtime, 1_000_000_000n, "an old mtime stays");
      assert.equal(tree.get("new/future")?.header.mtime, 4_000_000_000_000_000_000n, "a future mtime stays");
      assert.deepEqual(texts(await look(start, "/suite")), before, "the state before has changed");
    },
  );

  declare("a deletion stays one in later states, also when the name comes back", async (bench) => {
    const one = await bench.succeed("rm -r /suite/folder /suite/delete");
    const two = await bench.succeed("mkdir /suite/folder; echo -n again > /suite/delete", one);
    const three = await bench.succeed("rm /suite/delete", two);
    const names = async (at: typeof one) =>
      [...(await bench.look(at, "/suite")).keys()].filter((name) => /^(?:folder|delete)/.test(name)).sort();
    assert.deepEqual(await names(one), []);
    assert.deepEqual(await names(two), ["delete", "folder"], "what was in a deleted folder is not in the new one");
    assert.deepEqual(await names(three), ["folder"]);
    assert.equal(await bench.tell("ls /suite/folder | wc -l", three), "0");
  });

  declare("two runs from one state know nothing of each other", async (bench) => {
    const left = await bench.succeed("echo left > /suite/side");
    const right = await bench.succeed("test ! -e /suite/side; echo right > /suite/other");
    assert.deepEqual(Object.keys(texts(await bench.look(left, "/suite"))).includes("other"), false);
    assert.equal(await bench.tell("ls /suite | grep -c -e side -e other", right), "1");
  });

  declare("nothing of what an engine mounts is in a state", async (bench) => {
    const after = await bench.succeed("echo x > /dev/shm/x 2>/dev/null || true; echo y > /suite/y");
    const before = [...(await bench.look(bench.start, "/")).keys()].sort();
    const names = [...(await bench.look(after, "/")).keys()].sort();
    assert.deepEqual(
      names.filter((name) => !before.includes(name)),
      ["suite/y"],
    );
    assert.deepEqual(
      before.filter((name) => !names.includes(name)),
      [],
    );
  });

  declare("a cache of a name is the same for all builds, and in no state", async (bench) => {
    const mounts = [{ kind: "cache", source: `suite-${randomUUID()}`, target: "/var/suite cache" }] as const;
    await bench.succeed("echo -n one > '/var/suite cache/file'", bench.start, { mounts });
    await using later = await bench.again();
    const after = await later.succeed("test $(cat '/var/suite cache/file') = one", later.start, { mounts });
    assert.ok(![...(await later.look(after, "/var")).keys()].some((path) => path.endsWith("/file")));
  });

  declare(
    "reads a file, a folder and the root, and says when there is nothing",
    async ({ session, start, look, signal }) => {
      assert.deepEqual(texts(await look(start, "/suite/keep")), { "": "keep" });
      assert.deepEqual(texts(await look(start, "/suite/folder")), { inner: "inner" });
      assert.ok((await look(start, "/")).has("suite/folder/inner"));
      await assertRejects(drained(session.read(start, "/suite/gone", { signal })), "not-found");
      await assertRejects(drained(session.read(start, "/gone/gone", { signal })), "not-found");
    },
  );

  declare("a reader that stops early leaves the session usable", async ({ session, start, look, signal }) => {
    for await (const _chunk of session.read(start, "/", { signal })) break;
    assert.equal((await look(start, "/suite/keep")).get("")?.text, "keep");
  });
}
