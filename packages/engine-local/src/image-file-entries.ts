import type { ImageFile } from "@melange2/core";
import { byteString, type TarInput, tarHeader } from "@melange2/oci";

/** Files of our own as entries of a tar. `mtime` in nanoseconds. */
export function* imageFileEntries(files: readonly ImageFile[], mtime: bigint): Iterable<TarInput> {
  for (const file of files) {
    const { path, kind: type, mode, owner, size } = file;
    const header = tarHeader({ name: byteString(path), type, mode, ...owner, size, mtime });
    yield type === "file" ? { header, body: file.open() } : { header };
  }
}
