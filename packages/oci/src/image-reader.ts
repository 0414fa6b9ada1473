import { stat } from "node:fs/promises";
import type { ImageChoice } from "./choose-image.ts";
import { readDockerArchive } from "./docker-archive.ts";
import { OciError } from "./error.ts";
import type { Image, ImageForm } from "./image.ts";
import { archiveFiles, directoryFiles } from "./image-files.ts";
import { readLayout } from "./oci-layout.ts";

/**
 * Opens an image in an OCI layout directory, an OCI archive or a docker archive (a plain tar, as `docker save` writes it), told apart by content.
 * Reads metadata only; the file must stay as long as layers are read. Rejects with `not-found` when it is none of these or lacks a blob, with
 * `no-platform`, `invalid` (several images fit among them), `digest-mismatch`, `truncated`, `corrupt`.
 */
export async function openImage(path: string, choice: ImageChoice = {}): Promise<Image & { readonly form: ImageForm }> {
  const directory = (await stat(path).catch(notThere)).isDirectory();
  const files = directory ? directoryFiles(path) : await archiveFiles(path);
  // An archive may be both at once: the OCI side has digests for everything.
  if ((await files.find("oci-layout")) && (await files.find("index.json")))
    return { ...(await readLayout(files, choice)), form: directory ? "oci-layout" : "oci-archive" };
  if (!directory && (await files.find("manifest.json")))
    return { ...(await readDockerArchive(files, choice)), form: "docker-archive" };
  throw new OciError(
    "not-found",
    `${path} holds no image: neither oci-layout and index.json nor manifest.json is there`,
    "Name an OCI layout directory, an OCI archive or the output of docker save.",
  );
}

function notThere(error: NodeJS.ErrnoException): never {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
  throw new OciError("not-found", `there is no ${String(error.path)}`, "Check the path.", error);
}
