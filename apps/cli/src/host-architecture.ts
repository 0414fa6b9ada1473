/** OCI names of what Node calls an architecture in its own way. */
const ociNames: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  x64: "amd64",
  ia32: "386",
  ppc64: "ppc64le",
};

/** The OCI name of this machine's architecture. */
export function hostArchitecture(): string {
  return ociNames[process.arch] ?? process.arch;
}
