import type { ByteSink } from "./bytes.ts";
import { isMelangeError, MelangeError } from "./error.ts";
import type { ExportOptions } from "./exporter.ts";
import type { Compression, DebugImage, Delivered } from "./image.ts";

export interface ArchiveRequest {
  readonly format: "docker" | "oci";
  readonly compression: Compression;
  /** `NAME:TAG` each; may be empty. */
  readonly names: readonly string[];
  readonly sink: ByteSink;
}

/**
 * Has the engine write the image as one archive into a sink: what every engine can do. Rejects with `export`, or with `interrupted` once
 * the signal is aborted, also when the engine goes on writing; what the sink rejects with as a MelangeError stays as it is.
 */
export async function deliverArchive(
  image: DebugImage,
  { sink, ...archive }: ArchiveRequest,
  { signal, onProgress }: ExportOptions,
): Promise<Delivered> {
  const stoppable: ByteSink = {
    async write(chunk) {
      if (signal.aborted) throw interrupted();
      await sink.write(chunk);
    },
    close: () => sink.close(),
    ...(sink.appendFile && {
      appendFile: async (path, see) => {
        if (signal.aborted) throw interrupted();
        await sink.appendFile?.(path, (piece) => {
          if (signal.aborted) throw interrupted();
          see(piece);
        });
      },
    }),
  };
  try {
    if (signal.aborted) throw interrupted();
    const delivered = await image.deliver({ kind: "archive", ...archive, sink: stoppable }, { signal, onProgress });
    if (signal.aborted) throw interrupted();
    if (delivered) return delivered;
  } catch (error) {
    throw signal.aborted ? interrupted() : asExportError(error);
  }
  throw new MelangeError("engine", "the engine does not write archives, as every engine must", {
    hint: "Report this to the engine's authors; its conformance suite finds it.",
  });
}

function asExportError(error: unknown): MelangeError {
  if (isMelangeError(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new MelangeError("export", `the image cannot be delivered: ${reason}`, {
    hint: "The failed build is kept: melange2 debug export tries again, to any destination.",
    cause: error,
  });
}

function interrupted(): MelangeError {
  return new MelangeError("interrupted", "interrupted while the image was delivered", {
    hint: "Nothing was left under its name; melange2 debug export delivers it later.",
  });
}
