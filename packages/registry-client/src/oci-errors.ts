import { isOciError, type OciErrorCode } from "@melange2/oci";
import { RegistryError, type RegistryErrorCode } from "./error.ts";

const codes: Readonly<Record<OciErrorCode, RegistryErrorCode>> = {
  invalid: "protocol",
  corrupt: "digest",
  truncated: "digest",
  "digest-mismatch": "digest",
  "size-mismatch": "digest",
  unsupported: "unsupported",
  "unsafe-path": "protocol",
  "not-found": "not-found",
  "no-platform": "unsupported",
};

/** The one place where errors of `oci` become this package's. Any other error passes through. */
export function fromOciError(error: unknown, code?: RegistryErrorCode): unknown {
  if (!isOciError(error)) return error;
  return new RegistryError(code ?? codes[error.code], error.message, { hint: error.hint, cause: error });
}
