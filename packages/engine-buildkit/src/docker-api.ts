import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request as startRequest } from "node:http";
import { finished } from "node:stream/promises";
import type { ByteSink, Bytes, Digest } from "@melange2/core";
import { engineError, interrupted, translated } from "./foreign-errors.ts";

export interface DockerFacts {
  /** The daemon's own id, whatever address it is reached at. */
  readonly id: string;
  readonly store: "classic" | "containerd";
}

/** The few calls of the Docker Engine API that moving images in and out takes. Reject with `engine` or `interrupted`. */
export interface DockerApi {
  facts(signal: AbortSignal): Promise<DockerFacts>;
  /** By which the daemon shows the image of this name; undefined: there is none. */
  imageId(name: string, signal: AbortSignal): Promise<Digest | undefined>;
  /** `write` writes an archive; resolves when the daemon has taken it. */
  load(write: (sink: ByteSink) => Promise<unknown>, signal: AbortSignal): Promise<void>;
  /** An image as `docker save` writes it. The containerd image store knows images by their names only, not by their configs' digests. */
  save(name: string, signal: AbortSignal): Bytes;
  /** Takes a name from an image, and with the last one the image; one that is gone is no error. */
  remove(name: string, signal: AbortSignal): Promise<void>;
}

const longestAnswer = 4 << 20;
/** Milliseconds after which a daemon that says nothing is given up. */
const silenceLimit = 45_000;

export function dockerApi(socketPath: string): DockerApi {
  /** Runs one exchange and ends its connection, whatever comes. */
  async function exchange<T>(
    method: string,
    path: string,
    signal: AbortSignal,
    work: (request: ClientRequest, response: Promise<IncomingMessage>) => Promise<T>,
  ): Promise<T> {
    if (signal.aborted) throw interrupted();
    const request = startRequest({ socketPath, method, path, agent: false, headers: { Host: "docker" } });
    const response = once(request, "response").then(([answer]) => answer as IncomingMessage);
    // Whoever writes may see the failure first.
    response.catch(() => {});
    request.on("error", () => {});
    const stop = () => request.destroy(interrupted());
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await work(request, response);
    } catch (error) {
      throw signal.aborted ? interrupted() : translated(error, `the Docker daemon at ${socketPath}`);
    } finally {
      signal.removeEventListener("abort", stop);
      request.destroy();
    }
  }

  /** undefined: 404. */
  async function call(method: "GET" | "DELETE", path: string, signal: AbortSignal): Promise<unknown> {
    return exchange(method, path, signal, async (request, response) => {
      request.setTimeout(silenceLimit, () => {
        request.destroy(new Error(`it has said nothing for ${silenceLimit / 1000} s`));
      });
      request.end();
      const answer = await response;
      const text = await textOf(answer);
      if (answer.statusCode === 404) return undefined;
      if (answer.statusCode !== 200) throw refused(`${method} ${path}`, text);
      return JSON.parse(text);
    });
  }

  return {
    async facts(signal) {
      const info = (await call("GET", "/info", signal)) as { ID: string; DriverStatus?: unknown };
      const containerd = JSON.stringify(info.DriverStatus ?? "").includes("io.containerd.snapshotter.v1");
      return { id: info.ID, store: containerd ? "containerd" : "classic" };
    },
    async imageId(name, signal) {
      const image = await call("GET", `/images/${encodeURIComponent(name)}/json`, signal);
      return image === undefined ? undefined : (image as { Id: Digest }).Id;
    },
    load: (write, signal) =>
      exchange("POST", "/images/load?quiet=1", signal, async (request, response) => {
        request.setHeader("Content-Type", "application/x-tar");
        await write({
          async write(chunk) {
            if (!request.write(chunk)) await Promise.race([once(request, "drain"), response]);
          },
          close: async () => void request.end(),
        });
        const answer = await response;
        const text = await textOf(answer);
        // It says 200 before it knows whether it can.
        if (answer.statusCode !== 200 || text.includes('"errorDetail"')) throw refused("loading the base", text);
      }),
    async *save(name, signal) {
      if (signal.aborted) throw interrupted();
      const request = startRequest({
        socketPath,
        path: `/images/${encodeURIComponent(name)}/get`,
        agent: false,
        signal,
      });
      try {
        const [answer] = (await once(request.end(), "response")) as [IncomingMessage];
        if (answer.statusCode !== 200) throw refused(`saving the image ${name}`, await textOf(answer));
        yield* answer;
        await finished(answer);
      } catch (error) {
        throw signal.aborted ? interrupted() : translated(error, `the Docker daemon at ${socketPath}`);
      } finally {
        request.destroy();
      }
    },
    async remove(name, signal) {
      await call("DELETE", `/images/${encodeURIComponent(name)}?noprune=1`, signal);
    },
  };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
    text += chunk;
    if (text.length > longestAnswer) throw new Error(`its answer is longer than ${longestAnswer} bytes`);
  }
  return text;
}

function refused(what: string, answer: string): Error {
  const message = /"message":"((?:[^"\\]|\\.)*)"/.exec(answer)?.[1] ?? answer.trim().slice(0, 200);
  return engineError(`the Docker daemon refused ${what}: ${message}`, "See the daemon's log.");
}
