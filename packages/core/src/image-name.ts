import { MelangeError } from "./error.ts";

const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const host = "(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:]+\\])(?::[0-9]+)?";
const imageNamePattern = new RegExp(`^(?:${host}/)?${component}(?:/${component})*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`);
const longestImageName = 255;

/**
 * `NAME:TAG` from what a user asked for: placeholders filled, `latest` where no tag is given. What a placeholder stands for is
 * brought into the alphabet of names and tags (`libstdc++` becomes `libstdc`), so that only the user's own characters can be
 * refused. Throws code `usage`.
 * @param fill Replaces one placeholder, `{package}`; it may leave it as it is.
 */
export function imageName(template: string, fill: (placeholder: string) => string): string {
  const colon = template.lastIndexOf(":");
  const hasTag = colon > template.lastIndexOf("/");
  const [name, tag] = hasTag ? [template.slice(0, colon), template.slice(colon + 1)] : [template, "latest"];
  const placeholder = /\{[^{}]*\}/g;
  const filled = `${name.replace(placeholder, (text) => asNamePart(fill(text)))}:${tag.replace(placeholder, (text) => asTagPart(fill(text)))}`;
  if (imageNamePattern.test(filled) && filled.length <= longestImageName) return filled;
  const digest = template.includes("@") ? "; a digest cannot be given to a new image" : "";
  throw new MelangeError("usage", `"${template}" is not a name for an image${digest}`, {
    hint: "Use NAME:TAG with a lower-case name, such as debug:failed-build or registry.example.com/team/debug:latest.",
  });
}

function asTagPart(value: string): string {
  return value.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "");
}

function asNamePart(value: string): string {
  return asTagPart(value)
    .toLowerCase()
    .replace(/[._-]{2,}/g, "-");
}
