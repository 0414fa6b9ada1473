import { MelangeError } from "@melange2/core";
import { isOciError } from "@melange2/oci";

/** Runs it; an error of the image package becomes one of this project, with `what` in front. Others pass. */
export async function translated<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isOciError(error)) throw error;
    throw new MelangeError("environment", `${what}: ${error.message}`, { hint: error.hint, cause: error });
  }
}
