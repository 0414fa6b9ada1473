/** A recipe of ours: a package with these scripts as its steps. `more`: further lines of YAML, at the top level. */
export const ownRecipe = (name: string, scripts: readonly string[], more = "") => `
package:
  name: ${name}
  version: 1.0
  epoch: 0
  description: Ours, for tests
pipeline:
${scripts.map((script) => `  - runs: ${JSON.stringify(script)}\n`).join("")}${more}`;
