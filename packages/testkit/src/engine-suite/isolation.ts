import assert from "node:assert/strict";
import type { SecretSource } from "@melange2/core";
import { testUnit } from "../plan-parts.ts";
import type { Declare, EngineSuiteOptions } from "./bench.ts";

const value = "s3cr3t/value+with?signs";
const secrets = (token: string): SecretSource => ({
  names: ["TOKEN"],
  get: (name) => (name === "TOKEN" ? token : undefined),
});

/** What a step sees: its own environment, user and filesystem, secrets it asked for, no network unless allowed. */
export function declareIsolation(declare: Declare, lacks: EngineSuiteOptions["lacks"] = {}): void {
  declare("the environment is the step's, to the last variable", async (bench) => {
    process.env.MELANGE2_SUITE_HOST = "host";
    const step = bench.step("env", {
      env: { EMPTY: "", SPACES: " a  b ", QUOTES: `"'$\`\\`, EQUAL: "a=b", UMLAUT: "ü" },
    });
    const { stdout } = await bench.run(testUnit(step), bench.start);
    delete process.env.MELANGE2_SUITE_HOST;
    const seen = Object.fromEntries(
      (stdout[0] ?? "")
        .split("\n")
        .filter(Boolean)
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
    // The shell's own.
    for (const name of ["PWD", "OLDPWD", "SHLVL", "_"]) if (!(name in step.env)) delete seen[name];
    assert.deepEqual(seen, step.env);
  });

  declare("the script reaches the shell byte by byte, with empty input", async (bench) => {
    assert.equal(await bench.tell(`printf '%s|' "a  b" 'c"d' "ü\\t" '$x' \\\n e; cat | wc -c`), `a  b|c"d|ü\\t|$x|e|0`);
    const long = "x".repeat(100_000);
    assert.equal(await bench.tell(`echo ${long} | wc -c`), "100001");
  });

  declare(
    "a script that is longer than a word may be runs, and another one of that length is another step",
    async (bench) => {
      const filler = `: ${"x".repeat(1000)}\n`.repeat(200);
      assert.equal(await bench.tell(`${filler}echo one`), "one");
      assert.equal(await bench.tell(`${filler}echo two`), "two");
    },
  );

  declare("output comes whole and in order, each stream by itself", async (bench) => {
    const { result, stdout, stderr } = await bench.run(
      bench.unit('i=0; while [ $i -lt 20000 ]; do echo "line $i of standard output"; i=$((i+1)); done; echo error >&2'),
      bench.start,
    );
    assert.ok(result.ok);
    const lines = (stdout[0] ?? "").trimEnd().split("\n");
    assert.equal(lines.length, 20_000);
    assert.ok(lines.every((line, index) => line === `line ${index} of standard output`));
    assert.equal(stderr[0], "error\n");
  });

  declare("the usual places are there: /dev/null, /proc, a writable /tmp", async (bench) => {
    assert.equal(
      await bench.tell(
        "echo x > /dev/null; head -c 3 /dev/zero | wc -c; test -d /proc/self; echo y > /tmp/y; cat /tmp/y",
      ),
      "3\ny",
    );
  });

  declare("a step sees its own processes only", async (bench) => {
    assert.equal(
      await bench.tell(
        "test -e /proc/1/status; for p in /proc/[0-9]*; do echo $p; done | wc -l | { read n; test $n -lt 10; }; echo few",
      ),
      "few",
    );
    assert.equal(
      await bench.tell(`test -e ${import.meta.dirname} && echo host || echo own`),
      "own",
      "a folder of the host is visible",
    );
  });

  declare("what a step sends to its whole process group reaches the step and nobody outside", async (bench) => {
    const script = "trap '' TERM USR1; sleep 100 & echo before; kill 0; kill -USR1 0; echo after; exit 3";
    const { result, stdout } = await bench.run(bench.unit(script), bench.start);
    assert.ok(!result.ok);
    assert.deepEqual(result.exit, { code: 3, reason: "exit" });
    assert.equal(stdout[0], "before\nafter\n");
  });

  declare("without network there is a loopback interface and nothing else", async (bench) => {
    assert.equal(await bench.tell("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"), "lo");
  });

  declare("steps run as the user that they name", async (bench, context) => {
    if (lacks.users !== undefined) return context.skip(lacks.users);
    const user = { uid: 1234, gid: 4321 };
    const unit = bench.unit(
      "id -u; id -g; echo x > /suite/open/mine; echo no > /suite/no 2>/dev/null || echo refused",
      { user },
    );
    const { result, stdout } = await bench.run(unit, bench.start);
    assert.equal(stdout[0], "1234\n4321\nrefused\n");
    assert.ok(result.ok);
    const header = (await bench.look(result.after, "/suite/open/mine")).get("")?.header;
    assert.deepEqual([header?.uid, header?.gid], [1234, 4321]);
    assert.equal(
      await bench.tell("chown 77:88 /suite/keep; stat -c %u:%g /suite/keep"),
      "77:88",
      "root may give files away",
    );
  });

  declare(
    "a secret reaches the steps that ask for it, and no others",
    async (bench) => {
      assert.equal(await bench.tell('echo "$TOKEN"', bench.start, { secretEnv: ["TOKEN"] }), value);
      assert.equal(await bench.tell("env | grep -c TOKEN || true"), "0");
    },
    { secrets: secrets(value) },
  );

  declare(
    "a secret's value is in no cache key",
    async (bench) => {
      const unit = bench.unit("echo ran", { secretEnv: ["TOKEN"] });
      assert.equal((await bench.run(unit, bench.start)).stdout[0], "ran\n");
      await using again = await bench.again({ secrets: secrets("another value") });
      const { result } = await again.run(unit, again.start);
      assert.ok(result.ok && result.cached);
    },
    { secrets: secrets(value) },
  );

  declare(
    "secrets are found in every form, also where a later step deleted them",
    async (bench) => {
      const { session, signal } = bench;
      const secretEnv = ["TOKEN"];
      const search = async (...states: (typeof bench.start)[]) =>
        (await session.search(states, secrets(value), { signal })).paths;
      assert.deepEqual(await search(bench.start), []);
      const leaked = await bench.succeed(
        `cd /suite; echo "token=$TOKEN;" > raw; printf 'ab%s' "$TOKEN" | base64 > base64; echo s3cr3t > part
         echo 's3cr3t%2Fvalue%2Bwith%3Fsigns' > url; mkdir deep; echo "$TOKEN" > 'deep/a file'; mkfifo fifo`,
        bench.start,
        { secretEnv },
      );
      assert.deepEqual(await search(leaked), ["/suite/base64", "/suite/deep/a file", "/suite/raw", "/suite/url"]);
      const deleted = await bench.succeed("cd /suite; rm -r raw base64 url deep", leaked);
      assert.ok(
        (await search(deleted)).includes("/suite/raw"),
        "a layer below still holds it, and leaves with the image",
      );
      assert.deepEqual(await search(bench.start), []);
    },
    { secrets: secrets(value) },
  );

  declare(
    "a search counts the compressed files that it cannot look into",
    async (bench) => {
      const { session, signal } = bench;
      const count = async (at: typeof bench.start) =>
        (await session.search([at], secrets(value), { signal })).compressed;
      const before = await count(bench.start);
      const compressed = await bench.succeed(
        `mkdir /suite/packed; cd /suite/packed; echo text | gzip > a.gz; printf '\\050\\265\\057\\375.' > 'b c'; printf '\\375\\067zXZ.' > d; printf 'PK\\003\\004.' > e
         printf 'BZh9.' > f; printf '\\037' > short; echo 'a\nPK' > plain; : > empty; ln -s a.gz link`,
      );
      assert.equal(await count(compressed), before + 5);
    },
    { secrets: secrets(value) },
  );
}
