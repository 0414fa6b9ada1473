/** The OCI architectures of ELF machine numbers, for a root filesystem that says nowhere what it is for. */
const architectures: Readonly<Record<number, string>> = {
  3: "386",
  8: "mips",
  20: "ppc",
  21: "ppc64le",
  22: "s390x",
  40: "arm",
  62: "amd64",
  183: "arm64",
  243: "riscv64",
  258: "loong64",
};

/** The architecture that an ELF file was made for, from its first 20 bytes; undefined for everything else. */
export function elfArchitecture(head: Uint8Array): string | undefined {
  if (head.length < 20 || head[0] !== 0x7f || head[1] !== 0x45 || head[2] !== 0x4c || head[3] !== 0x46)
    return undefined;
  const [low, high] = head[5] === 2 ? [head[19], head[18]] : [head[18], head[19]]; // byte 5: the file's byte order
  return architectures[(low ?? 0) | ((high ?? 0) << 8)];
}
