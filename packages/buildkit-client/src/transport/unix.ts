import { connect } from "node:net";
import { opened, type Transport } from "./transport.ts";

/** A buildkitd that listens on a unix socket. */
export function unixTransport(path: string): Transport {
  return {
    address: `unix://${path}`,
    attempt: `the socket ${path}`,
    advice: "Check that buildkitd runs, that this is its socket, and that you may open it.",
    dial: (signal) => opened(connect(path), "connect", signal),
  };
}
