// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how recipes refer to variables.
import type { Random } from "./random.ts";

/** A recipe that nobody means well: the bytes of its file. */
export function hostileRecipe(random: Random, canary: string): Buffer {
  const text = random.oneIn(4) ? brokenText(random) : structured(random, canary);
  if (!random.oneIn(12)) return Buffer.from(text);
  const bytes = Buffer.from(text);
  const at = random.below(bytes.length + 1);
  return Buffer.concat([
    bytes.subarray(0, at),
    Buffer.from([random.pick([0xff, 0xc3, 0x00, 0xed, 0x1b])]),
    bytes.subarray(at),
  ]);
}

/** A recipe in which one step does something hostile; it compiles, so that the step really runs. `canary` is a folder of the host. */
export function hostileBuild(random: Random, canary: string): Buffer {
  const run = (script: string) => `  - runs: |\n${script.replaceAll(/^/gm, "      ")}\n`;
  const first = random.pick(hostileSteps)(canary);
  const second = random.oneIn(2) ? random.pick(hostileSteps)(canary) : "exit 7";
  const capabilities = random.oneIn(4)
    ? `capabilities: {${random.pick(["add", "drop"])}: [${random.pick(["CAP_SYS_PTRACE", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_MKNOD", "CAP_SYS_ADMIN"])}]}\n`
    : "";
  return Buffer.from(
    `${header("hostile", "1.0")}${capabilities}${environment(random)}pipeline:\n${run(first)}${run(second)}`,
  );
}

const header = (name: string, version: string) =>
  `package:\n  name: ${name}\n  version: ${JSON.stringify(version)}\n  epoch: 0\n  description: made by a campaign\n`;

function environment(random: Random): string {
  if (!random.oneIn(3)) return "";
  const name = random.pick([
    "LC_ALL",
    "LD_PRELOAD",
    "GCONV_PATH",
    "PATH",
    "HOME",
    "IFS",
    "ENV",
    "TMPDIR",
    "LOCPATH",
    "POSIXLY_CORRECT",
  ]);
  const value = random.pick(["x", "/home/build", "$(id)", "`id`", "%n%n", "../../..", "C.UTF-8//x", "\\u001b[31m"]);
  return `environment: {environment: {${name}: ${JSON.stringify(value)}}}\n`;
}

/** What a step can try, on a host's folder `canary` where it needs one. None takes long by itself. */
const hostileSteps: readonly ((canary: string) => string)[] = [
  () => "chmod -R 000 /dev; chown -R 1234:1234 /dev",
  () => "rm -rf /dev/* /dev",
  () => "rm -rf /tmp /etc /var /home; exit 3",
  () => "rm -rf --no-preserve-root / 2>/dev/null; exit 3",
  (canary) => `rm -rf melange-out; ln -s ${canary} melange-out`,
  (canary) => `mkdir -p melange-out; ln -s ${canary} melange-out/hostile`,
  (canary) =>
    `mkdir -p melange-out/hostile; ln -s ${canary}/key melange-out/hostile/key; echo x > melange-out/hostile/x`,
  () => "rm -rf melange-out; mkfifo melange-out",
  () => "mkdir -p melange-out/hostile; mkfifo melange-out/hostile/fifo; mknod melange-out/hostile/null c 1 3",
  () => "mkdir -p melange-out/hostile; cp /bin/busybox melange-out/hostile/su; chmod 6755 melange-out/hostile/su",
  () =>
    "mkdir -p melange-out/hostile; i=0; d=melange-out/hostile; while [ $i -lt 120 ]; do d=$d/dddddddddddddddddddd; i=$((i+1)); done; mkdir -p $d; echo x > $d/x",
  () => "mkdir -p melange-out/hostile; printf x > \"melange-out/hostile/$(printf 'a\\033[31mb\\nc\\r')\"",
  () => "kill -9 -1; exit 1",
  () => "kill 0; exit 1",
  () => "kill -KILL $$",
  () => "exit 255",
  () => "(sleep 300 &) ; (setsid sleep 300 &); exit 4",
  () => "exec 1>&- 2>&-; exit 5",
  () => "printf '\\033]0;title\\007\\033[2J\\033[31mred\\r\\rlast\\n'; printf '\\377\\376'; exit 2",
  () => "yes | head -c 300000; exit 2",
  () => "printf '%0200000d' 0; exit 2",
  () => "cd /; rm -rf /home/build; exit 6",
  () => "rm -f /bin/sh; exit 8",
  () => "ln -sf /nowhere /bin/sh; exit 8",
  () => "rm -rf /etc/resolv.conf; ln -s /nowhere /etc/resolv.conf; exit 8",
  () => "rm -rf /tmp; ln -s /etc /tmp; echo x > /tmp/passwd; exit 8",
  () => "mkdir -p /.melange2; echo x > /.melange2/record.json; exit 8",
  () => "rm -rf /.melange2; ln -s /etc /.melange2; exit 8",
  () => "echo x > .wh.foo; echo y > foo; exit 8",
  () => "for p in /proc/[0-9]*; do cat $p/environ; ls $p/root/; done >/dev/null 2>&1; exit 9",
  () => "echo 1 > /proc/sys/kernel/panic; echo b > /proc/sysrq-trigger; exit 9",
  () => "mount -t tmpfs x /mnt; umount /proc; umount -l /; exit 9",
  () => "mknod /tmp/sda b 8 0; cat /tmp/sda | head -c 10; exit 9",
  () => "chmod 000 .; chmod 000 /home /; exit 9",
  () => "touch -d @99999999999 x; touch -d @-9999999 y; exit 9",
  () => "dd if=/dev/zero of=sparse bs=1 count=1 seek=1000000000 2>/dev/null; exit 9",
  () => "i=0; while [ $i -lt 300 ]; do ln -s $i $((i+1)); i=$((i+1)); done; exit 9",
  () => "trap '' INT TERM HUP; exit 10",
  () => "echo 'nosuch' | tee /dev/stderr >/dev/null; cat < /dev/tty; exit 1",
  () => "ulimit -f 0; echo x > x; exit 1",
  () => "exec /nowhere",
];

const values: readonly ((random: Random) => string)[] = [
  () => "null",
  () => "true",
  () => "-1",
  () => "1e400",
  () => "0x7fffffffffffffff",
  () => "2024-01-01",
  () => "!!binary aGVsbG8=",
  () => "[]",
  () => "{}",
  () => "[[[[[[]]]]]]",
  () => '""',
  () => '"a\\u001b[31mb"',
  () => '"a\\u0000b"',
  () => '"\\ud800"',
  () => `"${"x".repeat(5000)}"`,
  () => '"../../../etc/passwd"',
  () => '"/etc/passwd"',
  () => '"--help"',
  () => '"$(id)"',
  () => '"${{vars.a}}"',
  () => '"${{vars.b}} ${{package.version}}"',
  () => '"${{package.${{package.name}}}}"',
  () => '"${{inputs.x}}"',
  () => '"${{range.key}}"',
  () => '"${{targets.destdir}}/${{"',
  () => '"a\\nb: c"',
  () => "&a [*a]",
  () => "*nowhere",
  (random) => String(random.below(2 ** 31)),
];

const fields: readonly string[] = [
  "package.name",
  "package.version",
  "package.epoch",
  "package.description",
  "package.timeout",
  "package.dependencies",
  "package.copyright",
  "package.target-architecture",
  "package.options",
  "package.scriptlets",
  "package.resources",
  "package.setcap",
  "environment",
  "environment.contents",
  "environment.contents.packages",
  "environment.environment",
  "environment.accounts",
  "environment.accounts.run-as",
  "environment.accounts.users",
  "vars",
  "vars.a",
  "vars.b",
  "var-transforms",
  "pipeline",
  "subpackages",
  "data",
  "options",
  "capabilities",
  "capabilities.add",
  "test",
  "test.pipeline",
  "update",
  "nosuch",
];

const steps: readonly ((value: string) => string)[] = [
  (value) => `{runs: ${value}}`,
  (value) => `{uses: ${value}}`,
  (value) => `{uses: fetch, with: {uri: ${value}, expected-sha256: ${value}}}`,
  (value) => `{uses: autoconf/configure, with: ${value}}`,
  (value) => `{name: ${value}, runs: "true"}`,
  (value) => `{if: ${value}, runs: "true"}`,
  (value) => `{working-directory: ${value}, runs: "true"}`,
  (value) => `{environment: ${value}, runs: "true"}`,
  (value) => `{pipeline: [${`{pipeline: [`.repeat(20)}{runs: ${value}}${`]}`.repeat(20)}]}`,
  (value) => `{assertions: {required-steps: ${value}}, pipeline: [{runs: "true"}]}`,
  (value) => value,
];

function structured(random: Random, canary: string): string {
  const value = () => (random.oneIn(15) ? JSON.stringify(canary) : random.pick(values)(random));
  const tree: Record<string, unknown> = {};
  const set = (path: string, text: string) => {
    const names = path.split(".");
    const last = names.pop() as string;
    let at = tree;
    for (const name of names) {
      if (typeof at[name] !== "object") at[name] = {};
      at = at[name] as Record<string, unknown>;
    }
    at[last] = text;
  };
  for (const [path, text] of [
    ["package.name", "case"],
    ["package.version", '"1.0"'],
    ["package.epoch", "0"],
    ["package.description", "a case"],
  ] as const)
    set(path, text);
  set("pipeline", `[${Array.from({ length: 1 + random.below(4) }, () => random.pick(steps)(value())).join(", ")}]`);
  for (let count = random.below(4); count >= 0; count--) set(random.pick(fields), value());
  if (random.oneIn(4))
    set("subpackages", `[{name: ${value()}, range: ${random.pick(["d", "nosuch"])}, pipeline: [{runs: ${value()}}]}]`);
  if (random.oneIn(4)) set("data", `[{name: d, items: {a: ${value()}, b: "2"}}]`);
  return written(tree);
}

const written = (tree: Record<string, unknown>): string =>
  `{${Object.entries(tree)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : written(value as Record<string, unknown>)}`)
    .join(", ")}}\n`;

function brokenText(random: Random): string {
  const good = `${header("case", "1.0")}pipeline:\n  - runs: echo hi\n`;
  return random.pick<() => string>([
    () => "",
    () => "\0",
    () => "---\n---\n",
    () => `\ufeff${good}`,
    () => good.replaceAll("\n", "\r\n"),
    () => good.replaceAll("  ", "\t"),
    () => good.slice(0, random.below(good.length)),
    () => good + good,
    () => `${"[".repeat(2000)}`,
    () => `${"{a: ".repeat(1500)}`,
    () =>
      `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefghi"
        .split("")
        .map((name, index) => `${name}: &${name} [${`*${"abcdefghi"[index]},`.repeat(9)}]`)
        .join("\n")}\n${good}`,
    () => `${good}subpackages:\n${"  - {name: same, pipeline: [{runs: x}]}\n".repeat(3000)}`,
    () => `${good}${"  - runs: x\n".repeat(30_000)}`,
    () =>
      `${good}vars:\n${Array.from({ length: 60 }, (_, index) => `  v${index}: "\${{vars.v${index + 1}}}\${{vars.v${index + 1}}}"\n`).join("")}`,
    () => `${good}var-transforms:\n  - {from: "${"a".repeat(40)}", match: "(a+)+$", replace: x, to: y}\n`,
    () => good.replace("echo hi", "${{".repeat(3000)),
    () => good.replace("echo hi", "'".repeat(3001)),
    () => good.replace("echo hi", "$(".repeat(3000)),
    () => `# ${"x".repeat(2_000_000)}\n${good}`,
    () => `? ${"k".repeat(2000)}\n: v\n${good}`,
  ])();
}
