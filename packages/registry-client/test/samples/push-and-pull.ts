import { openImage } from "@melange2/oci";
import { findCredentials, openRepository, parseReference, pullImage, pushImage } from "@melange2/registry-client";

const [archive = "image.tar", name = "", cacheDirectory = "blobs"] = process.argv.slice(2);
const reference = parseReference(name);
const signal = AbortSignal.timeout(60_000);
// What docker login and podman login left, credential helpers included; looked up when the registry asks, for this repository alone.
const credentials = () => findCredentials(reference, { env: process.env, signal });

// Blobs that are there already are not sent; the tag is written last.
using repository = openRepository(reference, { signal, credentials });
const pushed = await pushImage(repository, await openImage(archive), { tag: reference.tag, signal });
console.log(`pushed ${pushed.manifest.digest}, ${pushed.bytes} bytes`);

// Chosen by platform. Every byte is held against its digest, now and whenever a layer is read.
const platform = { os: "linux", architecture: "amd64" };
const pulled = await pullImage(reference, { signal, credentials, platform, cacheDirectory });
console.log(`pulled ${pulled.pinned}, ${pulled.layers.length} layers`);
