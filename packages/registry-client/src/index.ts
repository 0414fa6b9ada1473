// For users: pull, push, and the credentials for both.

export type { Credentials, CredentialsFor } from "./credentials.ts";
export type { DockerConfigOptions } from "./docker-config.ts";
export { findCredentials } from "./docker-config.ts";
export type { RegistryErrorCode, RegistryErrorDetails } from "./error.ts";
export { isRegistryError, RegistryError } from "./error.ts";
export type { Proxies } from "./proxies.ts";
export { proxiesOf } from "./proxies.ts";
export type { PulledImage, PullOptions } from "./pull-image.ts";
export { pullImage } from "./pull-image.ts";
export type { PushableImage, Pushed, PushOptions } from "./push-image.ts";
export { pushImage } from "./push-image.ts";
export type { Reference } from "./reference.ts";
export { formatReference, isLoopback, parseReference } from "./reference.ts";
export type { Tls } from "./transport.ts";

// For whoever speaks the protocol call by call.

export type { Arrival, UploadOptions } from "./blob-upload.ts";
export type { StoredManifest } from "./manifests.ts";
export type { Repository } from "./repository.ts";
export { openRepository } from "./repository.ts";
export type { Clock } from "./retry.ts";
export type { SessionOptions } from "./session.ts";
