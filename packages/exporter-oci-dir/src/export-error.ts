import { isMelangeError, MelangeError } from "@melange2/core";

const hints: Readonly<Record<string, string>> = {
  ENOSPC: "Free some space or choose a place with more of it by --export-path; --export-compression=gzip needs less.",
  EDQUOT: "The disk quota is used up; choose another place by --export-path.",
  EACCES: "Choose a folder that you may write to by --export-path.",
  EROFS: "The filesystem is read-only; choose another place by --export-path.",
  ENOENT: "The folder is gone; create it again or choose another --export-path.",
};

/** Turns what the operating system or the reader of archives rejects with into ours, code `export`; one of ours stays as it is. */
export function asExportError(error: unknown, path: string): MelangeError {
  if (isMelangeError(error)) return error;
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const reason = error instanceof Error ? error.message : String(error);
  return new MelangeError("export", `${path} cannot be written: ${reason}`, {
    hint:
      hints[code] ??
      "Choose another place by --export-path; the failed build is kept, melange2 debug export tries again.",
    cause: error,
  });
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code);
}
