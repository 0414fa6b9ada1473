import { Agent, request } from "node:http";
import type { Socket } from "node:net";
import type { Link, Transport } from "./transport.ts";

/** The BuildKit inside a Docker daemon (20.10 and later), reached through the daemon's own unix socket. */
export function dockerTransport(path: string): Transport {
  return {
    address: `docker://${path}`,
    attempt: `an upgrade of POST /grpc on the socket ${path}`,
    advice: "Check that the Docker daemon runs, that this is its socket, and that you may open it.",
    dial: (signal) => upgrade(path, signal),
  };
}

function upgrade(socketPath: string, signal: AbortSignal): Promise<Link> {
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath,
      path: "/grpc",
      method: "POST",
      agent: new Agent({ keepAlive: false }),
      headers: { Host: "docker", Connection: "Upgrade", Upgrade: "h2c" },
    });
    const onAbort = () => call.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
    signal.addEventListener("abort", onAbort, { once: true });
    call.on("error", reject);
    call.on("close", () => signal.removeEventListener("abort", onAbort));
    call.on("upgrade", (_response, socket, head) => {
      signal.removeEventListener("abort", onAbort);
      if (head.length > 0) socket.unshift(head);
      resolve({ socket: socket as Socket });
    });
    call.on("response", (response) => {
      reject(new Error(`it answered ${response.statusCode} instead of upgrading the connection`));
      response.destroy();
    });
    if (signal.aborted) onAbort();
    else call.end();
  });
}
