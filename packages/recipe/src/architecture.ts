/** What a recipe may ask about the architecture it is built for. `arch` everywhere is the apk name. */
export interface Architecture {
  readonly arch: string;
  /** OCI's and Go's name. */
  readonly goarch: string;
  gnuTriplet(libc: "gnu" | "musl"): string;
  rustTriplet(libc: "gnu" | "musl"): string;
}

interface Names {
  readonly go: string;
  readonly gnu: string;
  readonly rust: string;
  /** What follows the libc in a triplet: `eabihf`. */
  readonly abi?: string;
}

const known: Readonly<Record<string, Names>> = {
  x86_64: { go: "amd64", gnu: "x86_64-pc", rust: "x86_64-unknown" },
  aarch64: { go: "arm64", gnu: "aarch64-unknown", rust: "aarch64-unknown" },
  x86: { go: "386", gnu: "i486-pc", rust: "i686-unknown" },
  armhf: { go: "arm/v6", gnu: "arm-unknown", rust: "arm-unknown", abi: "eabihf" },
  armv7: { go: "arm/v7", gnu: "armv7l-unknown", rust: "armv7-unknown", abi: "eabihf" },
  ppc64le: { go: "ppc64le", gnu: "powerpc64le-unknown", rust: "powerpc64le-unknown" },
  s390x: { go: "s390x", gnu: "s390x-ibm", rust: "s390x-unknown" },
  riscv64: { go: "riscv64", gnu: "riscv64-unknown", rust: "riscv64gc-unknown" },
  loongarch64: { go: "loong64", gnu: "loongarch64-unknown", rust: "loongarch64-unknown" },
};

/** By apk name (`x86_64`) or by OCI name (`amd64`); undefined for a word that is neither. */
export function architecture(word: string): Architecture | undefined {
  const found = Object.entries(known).find(([arch, names]) => arch === word || names.go === word);
  if (!found) return undefined;
  const [arch, names] = found;
  return {
    arch,
    goarch: names.go,
    gnuTriplet: (libc) => `${names.gnu}-linux-${libc}${names.abi ?? ""}`,
    rustTriplet: (libc) => `${names.rust}-linux-${libc}${names.abi ?? ""}`,
  };
}

export const architectures: readonly string[] = Object.keys(known);
