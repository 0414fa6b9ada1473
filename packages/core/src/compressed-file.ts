/** The first bytes of the formats in which a search sees no secrets: gzip and apk, zstd, xz, bzip2, zip. */
export const compressedBeginnings: readonly (readonly number[])[] = [
  [0x1f, 0x8b],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0xfd, 0x37, 0x7a, 0x58],
  [0x42, 0x5a, 0x68],
  [0x50, 0x4b, 0x03, 0x04],
];

/** Whether a file that begins with these bytes (four of them, where the file has so many) is compressed. */
export function isCompressed(start: Uint8Array): boolean {
  return compressedBeginnings.some(
    (beginning) => start.length >= beginning.length && beginning.every((byte, index) => byte === start[index]),
  );
}
