import type { Http2ServerRequest } from "node:http2";
import { type ContextValues, createContextKey, createContextValues } from "@connectrpc/connect";

/** One header as it came. Connect, and Node before it, join those of one name into a text that cannot be taken apart again. */
export interface SentHeader {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
}

/** For handlers: every header of their call. */
export const sentHeaders = createContextKey<readonly SentHeader[]>([], { description: "headers as they were sent" });

export function valuesFor({ rawHeaders }: Http2ServerRequest): ContextValues {
  const headers: SentHeader[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.push({ name: (rawHeaders[index] ?? "").toLowerCase(), value: rawHeaders[index + 1] ?? "" });
  }
  return createContextValues().set(sentHeaders, headers);
}
