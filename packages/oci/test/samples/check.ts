import { openImage, validateImage } from "@melange2/oci";

// An OCI layout folder, an OCI archive or what `docker save` writes: told apart by content.
const [path = "image.tar"] = process.argv.slice(2);
const image = await openImage(path);
console.log(`${image.form} ${image.imageId}: ${image.layers.length} layers, ${image.file.platform.architecture}`);

// Reads every layer; everything that is wrong is listed, with its place.
for (const { where, message } of await validateImage(image)) console.log(`${where}: ${message}`);
