import { mkdtemp } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A socket on the way to a daemon: counts what goes through it, and can fail as a network does. */
export interface Relay extends AsyncDisposable {
  /** `unix://PATH`. */
  readonly address: string;
  /** Bytes from the client to the daemon so far. */
  readonly sent: number;
  /** Closes what is open. */
  cut(): void;
  /** From now on nothing passes, and nothing is closed. */
  freeze(): void;
}

/** `daemon`: `unix://PATH`. */
export async function startRelay(daemon: string): Promise<Relay> {
  const path = join(await mkdtemp(join(tmpdir(), "melange2-relay-")), "relay.sock");
  const open = new Set<{ cut(): void; freeze(): void }>();
  let sent = 0;
  const server = createServer((client) => {
    const upstream = createConnection(daemon.replace(/^unix:\/\//, ""));
    client.on("data", ({ length }: Buffer) => {
      sent += length;
    });
    client
      .on("error", () => {})
      .pipe(upstream.on("error", () => {}))
      .pipe(client);
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on("close", cut);
    upstream.on("close", cut);
    const freeze = () => {
      client.unpipe(upstream).pause();
      upstream.unpipe(client).pause();
    };
    open.add({ cut, freeze });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const cut = () => {
    for (const one of open) one.cut();
  };
  return {
    address: `unix://${path}`,
    get sent() {
      return sent;
    },
    cut,
    freeze() {
      for (const one of open) one.freeze();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
