import { type Bytes, type Descriptor, verified } from "@melange2/oci";
import { RegistryError } from "./error.ts";
import { fromOciError } from "./oci-errors.ts";
import { patience } from "./retry.ts";
import type { Session } from "./session.ts";
import type { HttpAnswer } from "./transport.ts";

/**
 * A blob's bytes, checked against digest and size: whoever keeps them must not use them before the stream has ended.
 * A connection that breaks is made again, and goes on where it stopped.
 */
export async function* readBlob(session: Session, repository: string, descriptor: Descriptor): Bytes {
  const what = `blob ${descriptor.digest} of ${session.registry}/${repository}`;
  try {
    yield* verified(unchecked(session, repository, descriptor), descriptor, what);
  } catch (error) {
    throw fromOciError(error);
  }
}

async function* unchecked(session: Session, repository: string, descriptor: Descriptor): Bytes {
  const left = patience(session.policy);
  let position = 0;
  for (;;) {
    try {
      const answer = await request(session, repository, descriptor, position);
      // A registry that knows no ranges begins anew.
      let skip = answer.status === 206 ? 0 : position;
      for await (const chunk of answer.body) {
        const fresh = chunk.subarray(skip);
        skip -= chunk.length - fresh.length;
        if (fresh.length === 0) continue;
        position += fresh.length;
        yield fresh;
      }
      return;
    } catch (error) {
      await left.afterFailure(error);
    }
  }
}

async function request(
  session: Session,
  repository: string,
  { digest, size }: Descriptor,
  position: number,
): Promise<HttpAnswer> {
  const answer = await session.send({
    method: "GET",
    to: `${repository}/blobs/${digest}`,
    scopes: [`repository:${repository}:pull`],
    headers: position === 0 ? {} : { range: `bytes=${position}-` },
    expect: position === 0 ? [200] : [200, 206],
    action: `give the blob ${digest} of ${repository}`,
  });
  const length = answer.headers["content-length"];
  const expected = answer.status === 206 ? size - position : size;
  const misplaced = answer.status === 206 && !answer.headers["content-range"]?.startsWith(`bytes ${position}-`);
  if (misplaced || (length !== undefined && Number(length) !== expected)) {
    answer.discard();
    throw new RegistryError(
      "digest",
      `${answer.url.host} offers ${length ?? "an unknown part"} of the ${size} bytes of blob ${digest}`,
      {
        hint: "The registry's copy is damaged or the manifest is wrong: push the image again.",
      },
    );
  }
  return answer;
}
