import type { RegistryRequest, Reply } from "./exchange.ts";

/** What goes wrong. */
export type Misbehaviour =
  /** Answers this, and does nothing else. The request's body is not read. */
  | { readonly answer: Partial<Reply> & { readonly status: number } }
  /** Reads so many bytes of the request's body, then cuts the connection without having done anything. */
  | { readonly cutRequest: number }
  /** Does what was asked, but cuts the connection after so many bytes of the answer's body; -1: before its head. */
  | { readonly cutAnswer: number }
  /** Never answers. */
  | { readonly stall: true }
  /** Does what was asked, and answers in pieces of so many bytes. */
  | { readonly trickle: number }
  /** Does what was asked, and tells something else. A `content-length` here is sent as it is. */
  | { readonly change: (reply: Reply) => Reply };

export type Fault = Misbehaviour & {
  /** Requests that it happens to: a method, and a part of the path or a pattern for it. Default all. */
  readonly method?: string;
  readonly path?: string | RegExp;
  /** How often it happens; default once. */
  readonly times?: number;
  /** How many such requests go well before; default none. */
  readonly after?: number;
};

/** Faults waiting for their requests. */
export interface Faults {
  add(fault: Fault): void;
  /** The fault that happens to this request; counts it. */
  take(request: Pick<RegistryRequest, "method" | "path">): Fault | undefined;
}

export function createFaults(): Faults {
  const waiting: { readonly fault: Fault; left: number; skip: number }[] = [];
  return {
    add(fault) {
      waiting.push({ fault, left: fault.times ?? 1, skip: fault.after ?? 0 });
    },
    take(request) {
      for (const entry of waiting) {
        if (entry.left === 0 || !matches(entry.fault, request)) continue;
        if (entry.skip > 0) {
          entry.skip -= 1;
          continue;
        }
        entry.left -= 1;
        return entry.fault;
      }
      return undefined;
    },
  };
}

function matches({ method, path }: Fault, request: Pick<RegistryRequest, "method" | "path">): boolean {
  if (method !== undefined && method !== request.method) return false;
  if (path === undefined) return true;
  return typeof path === "string" ? request.path.includes(path) : path.test(request.path);
}
