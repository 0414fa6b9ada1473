import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request as plainRequest, type RequestOptions } from "node:http";
import { request as tlsRequest } from "node:https";
import { type ByteSink, isMelangeError } from "@melange2/core";
import {
  connectionError,
  exportError,
  interrupted,
  refusedByDaemon,
  silentDaemon,
  unreadableImage,
} from "./daemon-error.ts";
import type { Endpoint } from "./endpoint.ts";

export interface DaemonFacts {
  readonly product: "docker" | "podman";
  readonly version: string;
  /** The daemon's own, whatever address it is reached at. Empty where it has none. */
  readonly id: string;
  /** As uname says it, or as Go does: `x86_64`, `amd64`. */
  readonly architecture: string;
  /** Whether it shows images by their config's digest (classic) or their manifest's. */
  readonly store: "classic" | "containerd";
}

/** The few calls of the Docker Engine API that loading an image takes. Reject with `export` or, once `signal` is aborted, `interrupted`. */
export interface Daemon {
  facts(signal: AbortSignal): Promise<DaemonFacts>;
  /** The ID of the image that has this name or ID; undefined: there is none. */
  imageId(nameOrId: string, signal: AbortSignal): Promise<string | undefined>;
  /** `name`: `NAME:TAG`. */
  tag(imageId: string, name: string, signal: AbortSignal): Promise<void>;
  /** `send` writes an archive; resolves when the daemon has taken it. */
  load<T>(send: (sink: ByteSink) => Promise<T>, signal: AbortSignal): Promise<T>;
}

const longestAnswer = 4 << 20;
/** Milliseconds in which nothing moves on a connection, after which the daemon counts as silent. */
const silenceLimit = 45_000;
/** Milliseconds that a daemon may spend on unpacking an image, which it does in silence. */
const longestUnpacking = 15 * 60_000;

/** `silence`: milliseconds until a daemon that says nothing is given up; default 45 seconds. */
export function daemonAt(endpoint: Endpoint, silence: number = silenceLimit): Daemon {
  const { address } = endpoint;

  /** Runs one exchange and ends its connection, whatever comes. */
  async function exchange<T>(
    method: string,
    path: string,
    signal: AbortSignal,
    work: (request: ClientRequest, response: Promise<IncomingMessage>) => Promise<T>,
    onSilence: (request: ClientRequest, giveUp: (error: Error) => void) => void = (_, giveUp) =>
      giveUp(silentDaemon(address, silence)),
  ): Promise<T> {
    if (signal.aborted) throw interrupted();
    const request = startRequest(endpoint, method, path);
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      request.on("error", reject);
    });
    response.catch(() => {}); // whoever writes may see the failure first
    const stop = () => request.destroy(interrupted());
    signal.addEventListener("abort", stop);
    let silent: Error | undefined;
    // A response that is cut off does not repeat why, so the reason is kept here.
    const giveUp = (error: Error) => {
      silent = error;
      request.destroy(error);
    };
    // On the socket, since a request tells of one silence only.
    request.once("socket", (socket) => {
      socket.setTimeout(silence);
      socket.on("timeout", () => onSilence(request, giveUp));
    });
    try {
      return await work(request, response);
    } catch (error) {
      throw signal.aborted ? interrupted() : connectionError(silent ?? error, address);
    } finally {
      signal.removeEventListener("abort", stop);
      request.destroy();
    }
  }

  /** undefined: 404. */
  async function get(path: string, what: string, signal: AbortSignal): Promise<Json | undefined> {
    return exchange("GET", path, signal, async (request, response) => {
      request.end();
      const { statusCode: status = 0, ...rest } = await readAnswer(await response);
      if (status === 404) return undefined;
      if (status !== 200) throw refusedByDaemon(what, status, messageOf(rest.text));
      const json = parseJson(rest.text);
      if (!json) throw notDocker(address);
      return json;
    });
  }

  async function facts(signal: AbortSignal): Promise<DaemonFacts> {
    const info = await get("/info", "tell about itself", signal);
    const version = await get("/version", "tell its version", signal);
    if (!info || !version) throw notDocker(address);
    const components = Array.isArray(version.Components) ? (version.Components as readonly Json[]) : [];
    return {
      product: components.some(({ Name: name }) => name === "Podman Engine") ? "podman" : "docker",
      version: text(version.Version),
      id: text(info.ID),
      architecture: text(info.Architecture),
      store: JSON.stringify(info.DriverStatus ?? "").includes("io.containerd.snapshotter.v1")
        ? "containerd"
        : "classic",
    };
  }

  return {
    facts,

    async imageId(nameOrId, signal) {
      const image = await get(`/images/${encodeURIComponent(nameOrId)}/json`, "look an image up", signal);
      return image && text(image.Id);
    },

    async tag(imageId, name, signal) {
      const colon = name.lastIndexOf(":");
      const query = new URLSearchParams({ repo: name.slice(0, colon), tag: name.slice(colon + 1) });
      await exchange(
        "POST",
        `/images/${encodeURIComponent(imageId)}/tag?${query}`,
        signal,
        async (request, response) => {
          request.end();
          const { statusCode: status = 0, text: body } = await readAnswer(await response);
          if (status !== 201) throw refusedByDaemon(`name the image ${name}`, status, messageOf(body));
        },
      );
    },

    load: (send, signal) => {
      // A daemon says nothing while it unpacks a large image, which takes minutes. It is borne as long as it answers other requests.
      let unpacking = 0;
      const askWhetherAlive = (request: ClientRequest, giveUp: (error: Error) => void) => {
        if (request.writableFinished) unpacking += silence;
        if (request.writableNeedDrain || unpacking > longestUnpacking) {
          giveUp(silentDaemon(address, Math.max(silence, unpacking)));
          return;
        }
        facts(signal).then(
          () => request.socket?.setTimeout(silence),
          (error: unknown) => giveUp(error as Error),
        );
      };
      return exchange(
        "POST",
        "/images/load?quiet=1",
        signal,
        async (request, response) => {
          request.setHeader("Content-Type", "application/x-tar");
          let answered = false;
          response.then(
            () => {
              answered = true;
            },
            () => {},
          );
          const sink: ByteSink = {
            async write(chunk) {
              if (signal.aborted) throw interrupted();
              if (answered) throw new AnsweredEarly();
              if (request.write(chunk)) return;
              await Promise.race([once(request, "drain"), response]).catch((error: unknown) => {
                throw connectionError(error, address);
              });
            },
            close: async () => {
              request.end();
            },
          };
          const sent = await send(sink).catch(async (error: unknown) => {
            if (answered && !signal.aborted) throw (await errorIn(await response)) ?? error;
            throw isMelangeError(error) ? error : unreadableImage(error);
          });
          const error = await errorIn(await response);
          if (error) throw error;
          return sent;
        },
        askWhetherAlive,
      );
    },
  };

  async function errorIn(response: IncomingMessage): Promise<Error | undefined> {
    const { statusCode: status = 0, text: body } = await readAnswer(response);
    const message = status === 200 ? errorLine(body) : messageOf(body);
    return message === undefined ? undefined : refusedByDaemon("load the image", status, message);
  }
}

/** The daemon answered before all of the archive was sent: that answer says what is wrong. */
class AnsweredEarly extends Error {}

function startRequest(endpoint: Endpoint, method: string, path: string): ClientRequest {
  const { socketPath, host, port, tls } = endpoint;
  const where: RequestOptions = socketPath === undefined ? { host, port } : { socketPath };
  const options: RequestOptions = { ...where, method, path, agent: false, headers: { Host: host ?? "docker" } };
  if (!tls) return plainRequest(options);
  const { verify, ...files } = tls;
  return tlsRequest({ ...options, ...files, rejectUnauthorized: verify });
}

type Json = Readonly<Record<string, unknown>>;

async function readAnswer(
  response: IncomingMessage,
): Promise<{ readonly statusCode: number | undefined; readonly text: string }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > longestAnswer) throw new Error(`its answer is longer than ${longestAnswer} bytes`);
    chunks.push(chunk);
  }
  return { statusCode: response.statusCode, text: Buffer.concat(chunks).toString("utf8") };
}

/** The error that a stream of JSON lines reports: Docker answers 200 before it knows whether it can. */
function errorLine(body: string): string | undefined {
  for (const line of body.split(/\r?\n/)) {
    const error = parseJson(line)?.error;
    if (typeof error === "string") return error;
  }
  return undefined;
}

function messageOf(body: string): string {
  const message = parseJson(body)?.message;
  return typeof message === "string" ? message : body.trim().slice(0, 200) || "no reason given";
}

function parseJson(line: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function notDocker(address: string): Error {
  return exportError(`what answers at ${address} is no Docker daemon`, "Set DOCKER_HOST to the daemon's address.");
}
