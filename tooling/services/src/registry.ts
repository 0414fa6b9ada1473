import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, unpackedPackage } from "@melange2-tooling/machine";
import { createAuthority } from "./certificates.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import { goProgram } from "./go-program.ts";
import type { Started } from "./provision.ts";

/** docker-registry 2.8 as Debian has it, open to everybody. */
export async function startRegistry(folder: string): Promise<Started> {
  const { address, daemon } = await serve(folder, await debianRegistry(), []);
  return { env: { MELANGE2_TEST_REGISTRY: address }, stop: daemon.stop };
}

/** The same behind basic authentication, with a password made for this run. */
export async function startRegistryWithPassword(folder: string): Promise<Started> {
  await mkdir(folder, { recursive: true });
  const user = "melange2";
  const password = randomBytes(12).toString("hex");
  const passwords = join(folder, "htpasswd");
  await writeFile(passwords, `${user}:${await bcrypt(password)}\n`, { mode: 0o600 });
  const auth = ["auth:", "  htpasswd:", "    realm: tests", `    path: ${JSON.stringify(passwords)}`];
  const { address, daemon } = await serve(folder, await debianRegistry(), [], auth);
  const env = {
    MELANGE2_TEST_REGISTRY_AUTH: address,
    MELANGE2_TEST_REGISTRY_AUTH_USER: user,
    MELANGE2_TEST_REGISTRY_AUTH_PASSWORD: password,
  };
  return { env, stop: daemon.stop };
}

/** The same over TLS, with a certificate of a private authority. */
export async function startRegistryWithTls(folder: string): Promise<Started> {
  const authority = await createAuthority(join(folder, "certificates"));
  const { certificate, key } = await authority.issue("registry");
  const tls = ["  tls:", `    certificate: ${JSON.stringify(certificate)}`, `    key: ${JSON.stringify(key)}`];
  const { address, daemon } = await serve(folder, await debianRegistry(), tls);
  const env = { MELANGE2_TEST_REGISTRY_TLS: address, MELANGE2_TEST_REGISTRY_TLS_CA: authority.certificate };
  return { env, stop: daemon.stop };
}

/** Distribution 3.0, built from source. */
export async function startRegistry3(folder: string): Promise<Started> {
  const registry = await goProgram("github.com/distribution/distribution/v3/cmd/registry", "v3.0.0");
  const { address, daemon } = await serve(folder, registry, []);
  return { env: { MELANGE2_TEST_REGISTRY3: address }, stop: daemon.stop };
}

const debianRegistry = async (): Promise<string> =>
  join(await unpackedPackage("docker-registry"), "usr/bin/docker-registry");

/** `http`: lines for the section http of the configuration, indented by two; `more`: lines for its top level. */
async function serve(
  folder: string,
  program: string,
  http: readonly string[],
  more: readonly string[] = [],
): Promise<{ address: string; daemon: Daemon }> {
  const data = join(folder, "data");
  await mkdir(data, { recursive: true });
  const config = join(folder, "config.yml");
  const lines = [
    "version: 0.1",
    "log: { level: info, accesslog: { disabled: true } }",
    `storage: { delete: { enabled: true }, filesystem: { rootdirectory: ${JSON.stringify(data)} } }`,
    ...more,
    "http:",
    // Any free port: the registry says in its log which one the kernel gave it.
    '  addr: "127.0.0.1:0"',
    ...http,
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  let address = "";
  const daemon = await startDaemon({
    name: "the registry",
    folder,
    argv: [program, "serve", config],
    env: { OTEL_TRACES_EXPORTER: "none" },
    ready: async ({ log }) => {
      address = /listening on (127\.0\.0\.1:[1-9]\d*)/.exec(await log())?.[1] ?? "";
      return address !== "";
    },
  });
  return { address, daemon };
}

/** The C library's crypt(3), reached through perl, which every Debian has: the registry takes bcrypt only. */
async function bcrypt(password: string): Promise<string> {
  const salt = randomBytes(11).toString("hex");
  const hash = await run(["perl", "-e", "chomp(my $p = <STDIN>); print crypt($p, $ARGV[0])", `$2y$05$${salt}`], {
    input: `${password}\n`,
  });
  if (!hash.startsWith("$2y$")) throw new Error("the C library of this machine does not know bcrypt");
  return hash;
}
