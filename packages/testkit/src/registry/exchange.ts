/** A request as the registry's handlers see it. `path` has no query. */
export interface RegistryRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Reads the body to its end. */
  body(): Promise<Buffer>;
}

/** An answer as data, before it is written. Header names in lower case; undefined leaves a header out. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

export function reply(status: number, headers: Reply["headers"] = {}, body: Buffer = Buffer.alloc(0)): Reply {
  return { status, headers, body };
}

/** An error as the distribution specification words it. */
export function refuse(status: number, code: string, message: string, headers: Reply["headers"] = {}): Reply {
  const body = Buffer.from(JSON.stringify({ errors: [{ code, message }] }));
  return reply(status, { "content-type": "application/json", ...headers }, body);
}
