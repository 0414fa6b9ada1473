import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** PEM texts of an authority of our own, and of servers that it vouches for. */
export interface Certificates {
  readonly ca: string;
  /** For 127.0.0.1 and localhost. */
  readonly server: { readonly key: string; readonly cert: string };
  /** For a host that the tests do not have. */
  readonly stranger: { readonly key: string; readonly cert: string };
}

/** Needs the program openssl. */
export async function makeCertificates(): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), "melange2-certificates-"));
  const openssl = (...argv: string[]) => run("openssl", argv, { cwd: directory });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const serverFor = async (name: string, names: string) => {
    await openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    await writeFile(join(directory, `${name}.ext`), `subjectAltName=${names}\n`);
    await openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.pem`,
    );
    const read = (file: string) => readFile(join(directory, file), "utf8");
    return { key: await read(`${name}.key`), cert: await read(`${name}.pem`) };
  };
  try {
    await openssl(
      "req",
      "-x509",
      ...key,
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-days",
      "2",
      "-subj",
      "/CN=test authority",
    );
    return {
      ca: await readFile(join(directory, "ca.pem"), "utf8"),
      server: await serverFor("server", "IP:127.0.0.1,DNS:localhost"),
      stranger: await serverFor("stranger", "DNS:registry.example.com"),
    };
  } finally {
    await rm(directory, { recursive: true });
  }
}
