import { join, resolve } from "node:path";
import { goPrograms } from "./go-program.ts";

const moduleFolder = resolve(import.meta.dirname, "../conformance");

/** The path of the OCI distribution conformance suite as a program, at the version that its go.mod fixes. */
export async function conformanceSuite(): Promise<string> {
  const command = "github.com/opencontainers/distribution-spec/conformance";
  return join(await goPrograms("conformance-97274622c111", moduleFolder, [command]), "conformance");
}
