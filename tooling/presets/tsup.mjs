// The one bundler preset: ESM for Node 22, declarations, workspace packages and dependencies left as imports.
export const library = (entry = ["src/index.ts"]) => ({
  entry,
  format: ["esm"],
  target: "node22",
  dts: { compilerOptions: { ignoreDeprecations: "6.0" } },
  sourcemap: false,
  clean: true,
  splitting: true,
  treeshake: true,
});
