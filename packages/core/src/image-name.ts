import { MelangeError } from "./error.ts";

const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
/** Only a point, a port or `localhost` tells a registry's host from the first part of a name: to Docker, `MyOrg/debug` is a name, and a bad one. */
const host = `(?:(?:localhost|(?=[^/]*[.:])${label}(?:\\.${label})*|\\[[0-9A-Fa-f:]+\\])(?::[0-9]+)?)`;
/** Docker takes 64 digits of hex for an image's ID. */
const imageNamePattern = new RegExp(
  `^(?![0-9a-f]{64}:)(?:${host}/)?${component}(?:/${component})*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`,
);
const longestImageName = 255;
const longestTag = 128;

/**
 * `NAME:TAG` from what a user asked for: placeholders filled, `latest` where no tag is given. What a placeholder stands for is
 * brought into the alphabet of names and tags (`libstdc++` becomes `libstdc`) and shortened where it is too long, so that only the
 * user's own characters can be refused. Throws code `usage`.
 * @param fill Replaces one placeholder, `{package}`; it may leave it as it is.
 */
export function imageName(template: string, fill: (placeholder: string) => string): string {
  const colon = template.lastIndexOf(":");
  const hasTag = colon > template.lastIndexOf("/");
  const [name, tag] = hasTag ? [template.slice(0, colon), template.slice(colon + 1)] : [template, "latest"];
  const filledTag = filledWithin(longestTag, tag, (text) => asTagPart(fill(text)));
  const filledName = filledWithin(longestImageName - filledTag.length - 1, name, (text) => asNamePart(fill(text)));
  const filled = `${filledName}:${filledTag}`;
  if (imageNamePattern.test(filled) && filled.length <= longestImageName) return filled;
  const digest = template.includes("@") ? "; a digest cannot be given to a new image" : "";
  throw new MelangeError("usage", `"${template}" is not a name for an image${digest}`, {
    hint: "Use NAME:TAG with a lower-case name, such as debug:failed-build or registry.example.com/team/debug:latest.",
  });
}

/** Fills the placeholders, and shortens the longest values until the whole has at most so many characters. */
function filledWithin(longest: number, template: string, filling: (placeholder: string) => string): string {
  const filled = (most: number) =>
    template.replace(/\{[^{}]*\}/g, (placeholder) =>
      filling(placeholder)
        .slice(0, most)
        .replace(/[^A-Za-z0-9]+$/, ""),
    );
  let most = longest;
  while (filled(most).length > longest && most > 1) most -= 1;
  return filled(most);
}

function asTagPart(value: string): string {
  return value.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "");
}

function asNamePart(value: string): string {
  return asTagPart(value)
    .toLowerCase()
    .replace(/[._-]{2,}/g, "-");
}
