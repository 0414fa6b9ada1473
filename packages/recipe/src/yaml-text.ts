import { stringify } from "yaml";

/** A value as YAML, without anchors. Long lines are not folded, so that scripts stay as they are. */
export function yamlText(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
