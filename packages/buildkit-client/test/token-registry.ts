import { randomUUID } from "node:crypto";
import { createServer, request as forward, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Credentials } from "../src/index.ts";

/** A real registry behind a token service: `user` may do everything, everybody else may pull what is in `open/`. */
export interface TokenRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
}

export async function startTokenRegistry(registry: string, user: Credentials): Promise<TokenRegistry> {
  const known = `Basic ${Buffer.from(`${user.username}:${user.secret}`).toString("base64")}`;
  /** By each token, whether it is the user's. */
  const tokens = new Map<string, boolean>();
  const may = ({ headers, method = "", url = "" }: IncomingMessage): boolean => {
    const users = tokens.get(headers.authorization?.replace("Bearer ", "") ?? "");
    return users === true || (users === false && /^(GET|HEAD)$/.test(method) && url.startsWith("/v2/open/"));
  };
  const server = createServer((request, response) => {
    const { method, url = "", headers } = request;
    if (url.startsWith("/token")) {
      // Clients that post a password ask again in this way.
      if (method !== "GET") return void response.writeHead(404).end();
      if (headers.authorization !== undefined && headers.authorization !== known) {
        return void response.writeHead(401).end();
      }
      const token = randomUUID();
      tokens.set(token, headers.authorization === known);
      return void response.end(JSON.stringify({ token }));
    }
    if (!may(request)) {
      const challenge = `Bearer realm="http://${headers.host}/token",service="test"`;
      return void response.writeHead(401, { "WWW-Authenticate": challenge }).end();
    }
    const [host, port] = registry.split(":");
    const { authorization: _, ...others } = headers;
    const call = forward({ host, port, method, path: url, headers: others }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(call.on("error", () => response.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
