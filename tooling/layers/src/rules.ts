/** What the shipped sources of a package must never import, as the table in ARCHITECTURE.md says it. */
export interface Rule {
  /** Sets of modules by name; a name that is not a set's is that of one workspace package. */
  never?: readonly string[];
  /** The only workspace packages it may import; absent: any that `never` leaves. */
  only?: readonly string[];
  /** The only file, relative to the package, that may name engines, exporters and capture strategies of the workspace; absent: any may. */
  namesIn?: string;
}

/** Named sets. A pattern is matched against the whole module name, `process.env` and network globals included. */
export const sets: Readonly<Record<string, RegExp>> = {
  engines: /^@melange2\/engine-.+/,
  exporters: /^@melange2\/exporter-.+/,
  captures: /^@melange2\/capture-.+/,
  "third-party packages":
    /^(?!node:|@melange2(-tooling)?\/|process\.env$|fetch$|WebSocket$|EventSource$|XMLHttpRequest$)[^.].*/,
  files: /^node:(fs|fs\/promises)$/,
  network: /^(node:(net|http|https|http2|tls|dgram|dns|dns\/promises)|fetch|WebSocket|EventSource|XMLHttpRequest)$/,
  processes: /^node:(child_process|worker_threads|cluster)$/,
  "process.env": /^process\.env$/,
  gRPC: /^(@connectrpc|@grpc)\/.+/,
  oclif: /^(@oclif\/.+|oclif)$/,
};

const io = ["files", "network", "processes", "process.env"];
const capture: Rule = { never: ["engines", "exporters", ...io] };
const exporter: Rule = { never: ["exporters", "engines"] };

export const rules: Readonly<Record<string, Rule>> = {
  "@melange2/core": { only: [], never: ["third-party packages", "files", "network", "process.env"] },
  "@melange2/oci": { never: ["core", "network", "engines"] },
  "@melange2/registry-client": { never: ["core", "engines", "exporters"] },
  "@melange2/recipe": { never: ["engines", "exporters", "oci"] },
  "@melange2/apk": { only: ["oci"], never: ["network", "processes", "process.env"] },
  "@melange2/apk-client": { only: ["oci", "apk"], never: ["processes", "process.env"] },
  "@melange2/environment": { only: ["core", "oci", "apk"], never: ["network"] },
  "@melange2/records": { only: ["core"] },
  "@melange2/llb": { never: ["core", "gRPC"] },
  "@melange2/buildkit-client": { never: ["core", "llb"] },
  "@melange2/engine-local": { never: ["llb", "buildkit-client", "exporters"] },
  "@melange2/engine-buildkit": { never: ["engine-local", "exporters"] },
  "@melange2/capture-last-good": capture,
  "@melange2/capture-current-state": capture,
  "@melange2/capture-two-phase": capture,
  "@melange2/exporter-tarball": exporter,
  "@melange2/exporter-docker": exporter,
  "@melange2/exporter-registry": exporter,
  "@melange2/exporter-oci-dir": exporter,
  "@melange2/exporter-command": exporter,
  "@melange2/plugin-host": { never: ["oclif", "engines", "exporters", "captures"] },
  "@melange2/testkit": { never: ["engines", "exporters"] },
  "@melange2/build": { never: ["engines", "exporters", "captures", "oclif", "process.env"] },
  // Flags in, events and report out: what compiles, composes, runs, keeps, captures or exports is the library's.
  melange2: {
    namesIn: "src/defaults.ts",
    never: [
      "environment",
      "recipe",
      "records",
      "oci",
      "apk",
      "apk-client",
      "registry-client",
      "llb",
      "buildkit-client",
    ],
  },
};
