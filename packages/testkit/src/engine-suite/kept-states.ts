import assert from "node:assert/strict";
import type { StateRef } from "@melange2/core";
import { type Declare, texts } from "./bench.ts";
import { imageIdOf, suiteSpec } from "./images.ts";

/** States that outlive their session. */
export function declareKeptStates(declare: Declare): void {
  declare("a kept state is found by a later session, with the same content and the same image ID", async (bench) => {
    const { signal } = bench;
    const { engine } = bench;
    let ref: StateRef;
    let id: string;
    {
      await using first = await bench.again();
      const state = await first.succeed("echo -n kept > /suite/kept; rm /suite/delete");
      id = await imageIdOf(first.session.image(state, suiteSpec()), signal);
      ref = JSON.parse(JSON.stringify(await first.session.keep(state, { signal })));
      assert.equal(ref.engine, engine.name);
    }
    await using second = await bench.again();
    const found = await second.session.find(ref, { signal });
    assert.ok(found, "the kept state is gone");
    const files = texts(await second.look(found, "/suite"));
    assert.deepEqual([files.kept, files.delete], ["kept", undefined]);
    assert.equal(await imageIdOf(second.session.image(found, suiteSpec()), signal), id);
    assert.equal(await second.tell("cat /suite/kept", found), "kept");
    assert.ok((await second.session.keptBytes([ref], { signal })) >= 0);
    await second.session.drop(ref, { signal });
  });

  declare("a state at failure can be kept", async (bench, context) => {
    const { session, signal } = bench;
    const { result } = await bench.run(bench.unit("echo -n partial > /suite/made; exit 1"), bench.start);
    assert.ok(!result.ok);
    if ("unavailable" in result.atFailure) return context.skip(result.atFailure.unavailable);
    const ref = await session.keep(result.atFailure, { signal });
    await using later = await bench.again();
    const found = await later.session.find(ref, { signal });
    assert.ok(found);
    assert.equal(texts(await later.look(found, "/suite")).made, "partial");
    await later.session.drop(ref, { signal });
  });

  declare("what was dropped is gone, and dropping or finding the unknown is no error", async (bench) => {
    const { session, signal, engine } = bench;
    const state = await bench.succeed("echo dropped > /suite/dropped; exit 0");
    const ref = await session.keep(state, { signal });
    await session.drop(ref, { signal });
    await session.drop(ref, { signal });
    await using later = await bench.again();
    assert.equal(await later.session.find({ engine: engine.name }, { signal }), undefined);
    assert.equal(await session.keptBytes([{ engine: engine.name }], { signal }), 0);
    await session.drop({ engine: engine.name, state: "no-such-state" }, { signal });
  });

  declare("a process that enters a state changes a copy", async (bench, context) => {
    const { session, signal } = bench;
    if (!session.enter) return context.skip("this engine cannot be entered");
    const exit = await session.enter(bench.start, {
      signal,
      argv: [
        "/bin/sh",
        "-c",
        'test "$NAME" = value && test "$(pwd)" = /suite/open && test "$(cat /.melange2/note)" = note && rm -r /suite/folder && exit 7',
      ],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", NAME: "value" },
      workdir: "/suite/open",
      user: { uid: 0, gid: 0 },
      mounts: [],
      files: suiteSpec().files,
      secretEnv: [],
      tty: { interactive: false },
    });
    assert.deepEqual(exit, { code: 7, reason: "exit" });
    const names = [...(await bench.look(bench.start, "/")).keys()];
    assert.ok(names.includes("suite/folder/inner") && !names.some((name) => name.startsWith(".melange2")));
  });

  declare("a process enters a state in the nearest folder that there is", async (bench, context) => {
    const { session, signal } = bench;
    if (!session.enter) return context.skip("this engine cannot be entered");
    const state = await bench.succeed("ln -s /suite /.melange2; touch /suite/file");
    for (const workdir of ["/suite/open", "/suite/open/gone/deeper", "/suite/open/gone"]) {
      const exit = await session.enter(state, {
        signal,
        argv: ["/bin/sh", "-c", 'test "$(pwd)" = /suite/open && test ! -e gone && test -e /suite/file && exit 7'],
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        workdir,
        user: { uid: 0, gid: 0 },
        mounts: [],
        files: suiteSpec().files,
        secretEnv: [],
        tty: { interactive: false },
      });
      assert.deepEqual(exit, { code: 7, reason: "exit" }, workdir);
    }
  });
}
