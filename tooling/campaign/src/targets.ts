import type { Random } from "./random.ts";

/** A name for an image as users may type it. None names another machine. */
export function hostileReference(random: Random): string {
  const part = () => random.pick(nameParts)(random);
  const name = Array.from({ length: 1 + random.below(3) }, part).join("/");
  const tag = random.oneIn(4) ? "" : `${random.pick([":", ":", ":", "@", "::"])}${random.pick(tags)(random)}`;
  return `${random.pick(["", "", "", "", "/", "127.0.0.1:5/", "localhost/"])}${name}${tag}`;
}

const letters = (count: number) => "a".repeat(count);

const nameParts: readonly ((random: Random) => string)[] = [
  () => "debug",
  () => "MyOrg",
  () => "a_b",
  () => "a__b",
  () => "a___b",
  () => "a--b",
  () => "a..b",
  () => "-a",
  () => "a-",
  () => ".a",
  () => "_a",
  () => "a.b",
  () => "libstdc++",
  () => "",
  () => "a b",
  () => "ü",
  () => "a\u001b[31m",
  () => letters(128),
  () => letters(250),
  () => "0".repeat(64),
  () => "localhost",
  () => "{package}",
  () => "{nosuch}",
  (random) => random.below(10 ** 9).toString(36),
];

const tags: readonly ((random: Random) => string)[] = [
  () => "latest",
  () => "1.2.3_p4",
  () => "-x",
  () => ".x",
  () => "_x",
  () => "X",
  () => letters(128),
  () => letters(129),
  () => "a+b",
  () => "",
  () => "a b",
  () => `sha256:${"0".repeat(64)}`,
  () => "{version}",
  (random) => String(random.below(99999)),
];

/** A path to export to, in a folder of the campaign's own that holds `what` there is; see {@link furnish}. */
export function hostilePath(random: Random): string {
  return random.pick(paths)(random);
}

const paths: readonly ((random: Random) => string)[] = [
  () => "new.tar",
  () => "folder",
  () => "folder/",
  () => "folder/new.tar",
  () => "missing/new.tar",
  () => "file/new.tar",
  () => "file",
  () => "link-to-file",
  () => "dangling",
  () => "loop",
  () => "loop/x",
  () => "fifo",
  () => "socket",
  () => "null",
  () => "full",
  () => "/proc/self/mem",
  () => "/proc/melange2.tar",
  () => "/sys/melange2.tar",
  () => ".",
  () => "..",
  () => "./",
  () => `${"n".repeat(300)}.tar`,
  () => `${"d/".repeat(2100)}x.tar`,
  () => "a\nb.tar",
  () => "a\u001b[31mb.tar",
  () => "-",
  () => "--x.tar",
  () => "{package}-{version}.tar",
  () => "{nosuch}.tar",
  () => "{package",
  (random) => `${random.below(10 ** 9).toString(36)}.tar`,
];
