import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrograms, run } from "@melange2-tooling/machine";

export interface Certificate {
  /** Paths of PEM files. */
  certificate: string;
  key: string;
}

export interface Authority {
  /** The path of the authority's own certificate, which clients have to trust. */
  certificate: string;
  /** A certificate for this machine's loopback names, for servers and clients alike. */
  issue(name: string): Promise<Certificate>;
}

const days = ["-days", "2"];
const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"];

/** A private certificate authority in `folder`, made anew for every run. */
export async function createAuthority(folder: string): Promise<Authority> {
  await ensurePrograms(["openssl"]);
  await mkdir(folder, { recursive: true });
  const file = (name: string): string => join(folder, name);
  const ca = { certificate: file("ca.pem"), key: file("ca.key") };
  const subject = ["-subj", "/CN=melange2 tests"];
  await run(["openssl", "req", "-x509", ...newKey, ...days, ...subject, "-keyout", ca.key, "-out", ca.certificate]);
  const issue = async (name: string): Promise<Certificate> => {
    const issued = { certificate: file(`${name}.pem`), key: file(`${name}.key`) };
    const request = file(`${name}.csr`);
    const extensions = file(`${name}.ext`);
    await writeFile(extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
    await run(["openssl", "req", ...newKey, "-subj", `/CN=${name}`, "-keyout", issued.key, "-out", request]);
    const authority = ["-CA", ca.certificate, "-CAkey", ca.key, "-CAcreateserial"];
    const x509 = ["openssl", "x509", "-req", ...authority, ...days, "-in", request, "-extfile", extensions];
    await run([...x509, "-out", issued.certificate]);
    return issued;
  };
  return { certificate: ca.certificate, issue };
}
