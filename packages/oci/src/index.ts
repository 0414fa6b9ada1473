// For users: images as data, read, made, written and checked.
export type { ArchiveSpec, WrittenArchive } from "./archive-writer.ts";
export { writeArchive } from "./archive-writer.ts";
export type { ByteSink, Bytes, StringMap } from "./bytes.ts";
// For whoever makes or reads layers: tar and compression as streams.
export { abortable, bytesOf, collect, counted } from "./bytes.ts";
export type { ImageChoice } from "./choose-image.ts";
export type { CompressOptions } from "./compression.ts";
export { compress, decompress, detectCompression, peek } from "./compression.ts";
export type { Descriptor, ManifestDescriptor } from "./descriptor.ts";
export { descriptorOf, parseDescriptor } from "./descriptor.ts";
export type { Digest, Digester } from "./digest.ts";
export { digester, digestOf, digestOfBytes, hexOf, isDigest, parseDigest, verified } from "./digest.ts";
export type { OciErrorCode } from "./error.ts";
export { isOciError, OciError } from "./error.ts";
export { readFileBytes, writeAll, writeFileAtomically } from "./file-bytes.ts";
export type { FlatEntry } from "./flatten.ts";
export { flatten } from "./flatten.ts";
export type { Image, ImageForm } from "./image.ts";
export type { HistoryEntry, ImageConfig, ImageConfigSpec, ImageFile } from "./image-config.ts";
export { buildImageConfig, parseImageConfig } from "./image-config.ts";
export { openImage } from "./image-reader.ts";
export type { Blob, CompressLayerOptions, Layer } from "./layer.ts";
export {
  blobFromBytes,
  blobFromFile,
  compressLayer,
  layerFromBlob,
  layerFromBytes,
  layerFromEntries,
  layerFromFile,
  layerFromTar,
  readyBlob,
} from "./layer.ts";
export type { LayerTree, TreeItem } from "./layer-tree.ts";
export { readLayers, treeOf } from "./layer-tree.ts";
export type { Index, Manifest, ManifestSpec } from "./manifest.ts";
export { buildIndex, buildManifest, parseIndex, parseManifest } from "./manifest.ts";
export type { Compression } from "./media-type.ts";
export { compressionOf, isIndexType, isManifestType, layerMediaType, mediaTypes } from "./media-type.ts";
export { findOrphans, hasEndedOwner, ownedName, removeOrphans } from "./orphans.ts";
export type { Platform } from "./platform.ts";
export { formatPlatform, parsePlatform, platformMatches } from "./platform.ts";
export type { RandomImageOptions } from "./random-image.ts";
export { randomImage } from "./random-image.ts";
export type { Reference } from "./reference.ts";
export { familiarReference, formatReference, parseReference } from "./reference.ts";
export type { ByteString, TarEntry, TarEntryType, TarHeader, TarInput } from "./tar-entry.ts";
export { byteString, noXattrs, tarHeader, textOf } from "./tar-entry.ts";
export { baseName, entryPath, parentPath } from "./tar-path.ts";
export type { ReadTarOptions } from "./tar-reader.ts";
export { readTar } from "./tar-reader.ts";
export { encodeTarHeader, tarOf, writeTar } from "./tar-writer.ts";
export type { CheckedImage, Violation } from "./validate.ts";
export { validateImage } from "./validate.ts";
export type { Whiteout } from "./whiteout.ts";
export { whiteoutHeader, whiteoutOf } from "./whiteout.ts";
