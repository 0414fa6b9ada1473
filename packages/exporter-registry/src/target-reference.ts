import { type ExportContext, type FailureNames, imageName, MelangeError } from "@melange2/core";
import { parseReference, type Reference } from "@melange2/registry-client";
import { asMelangeError } from "./export-error.ts";

/** The reference that the option `ref` means; before a failure, as far as it is known. Throws code `usage`. */
export function targetReference(
  ref: string,
  context: Pick<ExportContext, "fill">,
  failure?: FailureNames,
): Reference & { readonly tag: string } {
  // What stands before an @ may be a password, which no message may repeat.
  if (ref.includes("@") || ref.includes("://")) {
    throw new MelangeError("usage", "--export-ref is not a name to push to", {
      hint: "Use REGISTRY/REPOSITORY:TAG, without https://, credentials or a digest; credentials come from docker login.",
    });
  }
  const reference = parsed(imageName(ref, (placeholder) => context.fill(placeholder, failure)));
  // A name without a registry would go to Docker Hub's own images, where nobody may push.
  if (reference.registry === "docker.io" && reference.repository.startsWith("library/")) {
    throw new MelangeError("usage", `"${ref}" names no registry to push to`, {
      hint: "Use REGISTRY/REPOSITORY:TAG, such as registry.example.com/debug:latest, or docker.io/USER/REPOSITORY:TAG.",
    });
  }
  return { ...reference, tag: reference.tag ?? "latest" };
}

function parsed(name: string): Reference {
  try {
    return parseReference(name);
  } catch (error) {
    throw asMelangeError(error, "usage");
  }
}
