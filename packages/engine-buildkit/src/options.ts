import type { OptionSchema, Options } from "@melange2/core";

/** What the engine can be told. A module of its own, so that showing flags and help imports no BuildKit client. */
export const buildkitOptions = {
  "buildkit-addr": {
    type: "string",
    description:
      "Address of the BuildKit daemon: unix://PATH, tcp://HOST:PORT, docker:// (inside Docker), docker-container://NAME, kube-pod://POD",
    env: "BUILDKIT_HOST",
  },
  "buildkit-tls-ca": {
    type: "string",
    path: true,
    description: "PEM file of the authority of the daemon's certificate",
  },
  "buildkit-tls-cert": {
    type: "string",
    path: true,
    description: "PEM file of the certificate to show the daemon",
  },
  "buildkit-tls-key": { type: "string", path: true, description: "PEM file of that certificate's key" },
  "buildkit-tls-server-name": {
    type: "string",
    description: "Name in the daemon's certificate, where it is not the host",
  },
} as const satisfies OptionSchema;

export type BuildkitOptions = Partial<Options<typeof buildkitOptions>>;
