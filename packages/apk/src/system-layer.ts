import { type ByteString, byteString, noXattrs, type TarHeader, type TarInput, tarHeader, tarOf } from "@melange2/oci";
import { busyboxLinks } from "./busybox-links.ts";
import type { InstallPlan } from "./install-plan.ts";
import { installedDatabase, shortChecksum } from "./installed-database.ts";
import { folderHeader, type ListedEntry, type PackageListing } from "./package-listing.ts";

export interface SystemOptions {
  readonly plan: InstallPlan;
  readonly listings: readonly PackageListing[];
  /** `NAME=VERSION` of what is to be there: `/etc/apk/world`, sorted. */
  readonly world: readonly string[];
  /** Lines of `/etc/apk/repositories`. */
  readonly repositories: readonly string[];
  readonly keys: readonly { readonly name: string; readonly pem: string }[];
  readonly arch: string;
  /** Folders as the layers below state them, the topmost one where there are several. */
  readonly stated: ReadonlyMap<ByteString, TarHeader>;
  /** What the base's own database has: it goes on. */
  readonly before: { readonly installed: string; readonly triggers: string; readonly world: readonly string[] };
  /** Where the database is, relative to the root: `usr/lib/apk/db`. */
  readonly databaseFolder: ByteString;
  /** Seconds since 1970, for the scripts' archive. */
  readonly sourceDateEpoch: number;
}

const second = 1_000_000_000n;

/**
 * The topmost layer of an environment of packages: apk's database and settings, busybox's links, folders as they are to be where the packages' layers
 * state them otherwise. Everything that no package owns has the time 0. The same options give the same entries.
 */
export function systemEntries(options: SystemOptions): readonly TarInput[] {
  const { plan, stated } = options;
  const entries = new Map<ByteString, TarInput>();
  const folder = (path: ByteString): void => {
    if (path === "" || entries.has(path)) return;
    folder(parentOf(path));
    entries.set(path, { header: folderHeader(plan.folders.get(path) ?? { path, type: "directory", mode: 0o755 }) });
  };
  const put = (input: TarInput): void => {
    folder(parentOf(input.header.name));
    entries.set(input.header.name, input);
  };
  for (const [path, entry] of plan.folders) if (!isStated(entry, stated.get(path))) folder(path);
  for (const input of linksOfBusybox(options)) {
    put(input);
    const { name, mtime } = input.header;
    const parent = parentOf(name);
    // As apko has it, the folder of a link is as young as busybox.
    entries.set(parent, { header: { ...(entries.get(parent) as TarInput).header, mtime } });
  }
  for (const input of settings(options)) put(input);
  for (const input of database(options)) put(input);
  return [...entries.keys()].sort(byComponents).map((path) => entries.get(path) as TarInput);
}

function isStated(entry: ListedEntry, header: TarHeader | undefined): boolean {
  const wanted = folderHeader(entry);
  return (
    header !== undefined &&
    header.mode === wanted.mode &&
    header.uid === wanted.uid &&
    header.gid === wanted.gid &&
    header.mtime / second === wanted.mtime / second &&
    header.xattrs.size === wanted.xattrs.size
  );
}

function settings({ world, repositories, keys, arch, before }: SystemOptions): TarInput[] {
  const all = [...new Set([...before.world, ...world])].sort((a, b) => (a < b ? -1 : 1));
  return [
    textFile("etc/apk/world", lines(all)),
    textFile("etc/apk/repositories", lines(repositories)),
    textFile("etc/apk/arch", lines([arch])),
    ...keys.map(({ name, pem }) => textFile(`etc/apk/keys/${name}`, pem)),
  ];
}

function database({ plan, listings, before, databaseFolder, sourceDateEpoch }: SystemOptions): TarInput[] {
  const installed =
    before.installed +
    installedDatabase(
      listings,
      plan.packages.map(({ leftOut }) => leftOut),
    );
  const triggers = listings
    .filter(({ info }) => info.triggers.length > 0)
    .map(({ checksum, info }) => `${shortChecksum(checksum)} ${info.triggers.join(" ")}`);
  const at = (name: string) => `${databaseFolder}/${name}`;
  // Where /lib is a link to /usr/lib, both are one folder.
  const apart = databaseFolder === "usr/lib/apk/db" && plan.placeOf("lib/apk") !== "usr/lib/apk";
  if (apart) plan.refuseFilesBelow("lib/apk", "where apk's database is to be seen");
  const link: TarInput[] =
    apart && (plan.kindAt("lib/apk") ?? "directory") === "directory"
      ? [
          {
            header: tarHeader({
              name: "lib/apk",
              type: "symlink",
              linkname: "../usr/lib/apk",
              mtime: timeOf(plan, "lib"),
            }),
          },
        ]
      : [];
  return [
    textFile(at("installed"), installed),
    textFile(at("lock"), "", 0o600),
    file(at("scripts.tar"), scriptsTar(listings, sourceDateEpoch)),
    textFile(at("triggers"), before.triggers + lines(triggers)),
    ...link,
  ];
}

/** What packages would run when they are installed; nobody here runs it, and apk finds it where it looks for it. */
function scriptsTar(listings: readonly PackageListing[], sourceDateEpoch: number): Uint8Array {
  const scripts = listings.flatMap(({ info, checksum, scripts }) =>
    scripts.map(({ name, mode, uid, gid, content }) => {
      const body = Buffer.from(content, "base64");
      return {
        header: tarHeader({
          name: `${info.name}-${info.version}.${shortChecksum(checksum)}.${name}`,
          type: "file",
          mode,
          uid,
          gid,
          size: body.length,
          mtime: BigInt(sourceDateEpoch) * second,
        }),
        body,
      };
    }),
  );
  return tarOf(scripts);
}

function linksOfBusybox({ plan, listings }: SystemOptions): TarInput[] {
  if (plan.kindAt("bin/busybox") !== "file") return [];
  const owner = listings.find(({ busybox }) => busybox !== undefined);
  if (!owner?.busybox) return [];
  const { listed, applets, time } = owner.busybox;
  return busyboxLinks(listed, applets)
    .map((path) => plan.placeOf(byteString(path)))
    .filter((path) => plan.kindAt(path) === undefined && isFree(plan, parentOf(path)))
    .map((name) => ({
      header: tarHeader({ name, type: "symlink", linkname: "/bin/busybox", mtime: BigInt(time) * second }),
    }));
}

/** Whether a folder is there or can be. */
function isFree(plan: InstallPlan, path: ByteString): boolean {
  if (path === "") return true;
  const kind = plan.kindAt(path);
  return kind === undefined ? isFree(plan, parentOf(path)) : kind === "directory";
}

function timeOf(plan: InstallPlan, folder: ByteString): bigint {
  return BigInt(plan.folders.get(folder)?.time ?? 0) * second;
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text.replaceAll("\n", " ")}\n`).join("");
}

function textFile(name: string, text: string, mode = 0o644): TarInput {
  return file(byteString(name), Buffer.from(text, "utf8"), mode);
}

function file(name: ByteString, body: Uint8Array, mode = 0o644): TarInput {
  return { header: tarHeader({ name, type: "file", mode, size: body.length, xattrs: noXattrs }), body };
}

function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/** Parents before what is in them. */
function byComponents(a: ByteString, b: ByteString): number {
  return a.replaceAll("/", "\0") < b.replaceAll("/", "\0") ? -1 : 1;
}
