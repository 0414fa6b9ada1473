import {
  type ByteSink,
  type Compression,
  type DebugImage,
  type Delivered,
  type ExportOptions,
  MelangeError,
} from "@melange2/core";
import { asExportError } from "./export-error.ts";

/**
 * Has the engine write the archive into `sink`. Rejects with `export`, or `interrupted` once the signal is aborted, also when
 * the engine goes on writing.
 */
export async function deliverArchive(
  image: DebugImage,
  { compression, name, sink }: { readonly compression: Compression; readonly name: string; readonly sink: ByteSink },
  { signal, onProgress }: ExportOptions,
): Promise<Delivered> {
  const stoppable: ByteSink = {
    async write(chunk) {
      if (signal.aborted) throw interrupted();
      await sink.write(chunk);
    },
    close: () => sink.close(),
  };
  try {
    if (signal.aborted) throw interrupted();
    const delivered = await image.deliver(
      { kind: "archive", format: "docker", compression, names: [name], sink: stoppable },
      { signal, onProgress },
    );
    if (signal.aborted) throw interrupted();
    if (delivered) return delivered;
  } catch (error) {
    throw signal.aborted ? interrupted() : asExportError(error, "the archive");
  }
  throw new MelangeError("engine", "the engine does not write archives, as every engine must", {
    hint: "Report this to the engine's authors; its conformance suite finds it.",
  });
}

function interrupted(): MelangeError {
  return new MelangeError("interrupted", "interrupted while the archive was written", {
    hint: "Nothing was left under its name; melange2 debug export writes it later.",
  });
}
