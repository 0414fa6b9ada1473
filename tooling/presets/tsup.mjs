// Declarations take three quarters of a build and only publishing needs them: tests and the CLI do without.
const declarations = process.env.MELANGE2_BUILD === "js" ? false : { compilerOptions: { ignoreDeprecations: "6.0" } };

// The one bundler preset: ESM for Node 22, declarations, workspace packages and dependencies left as imports.
export const library = (entry = ["src/index.ts"]) => ({
  entry,
  format: ["esm"],
  target: "node22",
  dts: declarations,
  sourcemap: false,
  clean: true,
  splitting: true,
  treeshake: true,
});
