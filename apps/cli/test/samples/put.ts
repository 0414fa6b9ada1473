import type { Exporter } from "@melange2/core";

/** Uploads the image as an archive by one HTTP PUT. */
const put: Exporter = {
  name: "put",
  contract: 1,
  summary: "An HTTP PUT of the archive",
  options: {
    url: { type: "string", required: true, description: "Where to, with {package} and {build} filled in" },
    ref: { type: "string", default: "debug:{package}-{build}", description: "The image's name, NAME:TAG" },
  },
  async prepare(options, context) {
    const url = String(options.url);
    const ref = String(options.ref);
    context.imageName(ref);
    if (!/^https?:$/.test(URL.parse(context.fill(url))?.protocol ?? "")) {
      throw context.error("usage", `"${url}" is no URL`, { hint: "Use https://HOST/PATH." });
    }
    // A credential is in the user's environment, never in an option: destinations and locations are shown and recorded.
    const headers: Record<string, string> = context.env.PUT_TOKEN
      ? { authorization: `Bearer ${context.env.PUT_TOKEN}` }
      : {};

    return {
      destination: context.fill(url),

      // Before the first step, with network. Findings are warnings, or errors with --export-preflight=strict.
      async probe({ signal }) {
        const limited = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
        try {
          await fetch(new URL("/", context.fill(url)), { method: "HEAD", headers, signal: limited });
          return [];
        } catch (error) {
          if (signal.aborted) throw error;
          return [{ severity: "error", message: `${url} cannot be reached: ${error}`, hint: "Is the server up?" }];
        }
      },

      async export(image, exporting) {
        const target = context.fill(url, exporting.failure);
        const name = context.imageName(ref, exporting.failure);
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
        const writer = writable.getWriter();
        // The request ends with the export, whichever way that ends.
        const upload = new AbortController();
        const signal = AbortSignal.any([exporting.signal, upload.signal]);
        const answer = fetch(target, { method: "PUT", headers, body: readable, duplex: "half", signal }).then(
          (response) => (response.ok ? undefined : `it says ${response.status}`),
          (error: Error) => String(error.cause ?? error),
        );
        const refused = (reason: string | undefined) =>
          context.error("export", `${target} did not take the image: ${reason}`, { hint: "Look at the server's log." });
        // A server may answer before it has read the body, and then nobody reads on: never wait for a write alone.
        const early = answer.then((reason) => {
          throw refused(reason ?? "it answered before the end of the upload");
        });
        early.catch(() => {});
        const sink = {
          write: (chunk: Uint8Array) =>
            Promise.race([early, writer.write(chunk)]).catch(async () => {
              throw refused((await answer) ?? "it answered before the end of the upload");
            }),
          // The end of the upload says that the image is complete, so only the last line below may send it.
          close: async () => {},
        };
        try {
          const archive = { format: "docker", compression: "gzip", names: [name], sink } as const;
          const delivered = await context.deliverArchive(image, archive, exporting);
          writer.close().catch(() => {}); // The answer says what became of it.
          const reason = await answer;
          if (exporting.signal.aborted) throw context.error("interrupted", "interrupted", { hint: "Export it again." });
          if (reason !== undefined) throw refused(reason);
          const load = ["sh", "-c", `curl ${target} | docker load`];
          return { ...delivered, location: target, open: [load, ["docker", "run", "-it", "--rm", name, "/bin/sh"]] };
        } catch (error) {
          upload.abort();
          writer.abort(error).catch(() => {}); // Not awaited: a write that nobody reads never ends.
          throw error;
        }
      },
    };
  },
};

export default put;
