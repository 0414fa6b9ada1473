import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { bytesOf, collect, isOciError, readTar } from "@melange2/oci";
import { ApkError } from "./error.ts";
import { printable, quoted } from "./printable.ts";

/** A public key that repositories may be signed with, under the name that signatures call it by: `NAME.rsa.pub`. */
export interface PublicKey {
  readonly name: string;
  readonly pem: string;
}

/** A signature out of a signature member: `.SIGN.RSA256.NAME.rsa.pub`. */
export interface Signature {
  readonly kind: "DSA" | "RSA" | "RSA256" | "RSA512";
  /** `NAME.rsa.pub` */
  readonly keyName: string;
  readonly bytes: Uint8Array;
}

const signatureName = /^\.SIGN\.(DSA|RSA|RSA256|RSA512)\.(.*\.rsa\.pub)$/;
const hashes: Readonly<Partial<Record<Signature["kind"], string>>> = { RSA: "RSA-SHA1", RSA256: "RSA-SHA256" };
const largestSignature = 64 << 10;

/** Checks that `pem` is an RSA public key, and `name` one for a file in `/etc/apk/keys`. Throws `key`. */
export function publicKey(name: string, pem: string): PublicKey {
  if (!/^[^/\0]+$/.test(name) || name === "." || name === "..")
    throw new ApkError("key", `${quoted(name)} is no name for a key`, {
      hint: "A key is called by the last part of its path: NAME.rsa.pub.",
    });
  readKey({ name, pem });
  return { name, pem };
}

/** The signatures of an unpacked signature member. Rejects with `signature` where a member's name is not a signature's. */
export async function readSignatures(member: Uint8Array, what: string): Promise<Signature[]> {
  const signatures: Signature[] = [];
  try {
    for await (const { header, body } of readTar(bytesOf(member), { end: "optional" })) {
      const [, kind, keyName = ""] = signatureName.exec(header.name) ?? [];
      if (kind === undefined)
        throw new ApkError("signature", `${what}: ${quoted(header.name)} in its signature is none`, {
          hint: "A signature's name is .SIGN.RSA256.NAME.rsa.pub: sign the index again, with a key of such a name.",
        });
      const bytes = await collect(body, largestSignature, `${what}: the signature`);
      signatures.push({ kind: kind as Signature["kind"], keyName, bytes });
    }
  } catch (error) {
    if (!isOciError(error)) throw error;
    throw new ApkError("signature", `${what}: its signature is damaged: ${error.message}`, {
      hint: damagedHint,
      cause: error,
    });
  }
  return signatures;
}

/**
 * Returns the name of the first key that one of the signatures over `signed` is good by. Throws `signature` where there is none, and says
 * which keys were known and which were asked for. Kinds other than RSA and RSA256 are passed over.
 */
export function verifySignatures(
  signed: Uint8Array,
  signatures: readonly Signature[],
  keys: readonly PublicKey[],
  what: string,
): string {
  const known = listed(keys.map((key) => key.name));
  if (keys.length === 0)
    throw new ApkError("signature", `${what} cannot be verified: no key is known`, { hint: addKeyHint });
  if (signatures.length === 0)
    throw new ApkError("signature", `${what} is not signed`, { hint: `Sign it with one of the known keys: ${known}.` });
  const tried: string[] = [];
  for (const { kind, keyName, bytes } of signatures) {
    const hash = hashes[kind];
    const key = keys.find(({ name }) => name === keyName) ?? keys.find(({ name }) => `${name}.rsa.pub` === keyName);
    if (hash === undefined || key === undefined) continue;
    if (verify(hash, signed, readKey(key), bytes)) return key.name;
    tried.push(key.name);
  }
  if (tried.length > 0)
    throw new ApkError("signature", `${what} does not fit its signature by ${listed(tried)}`, { hint: damagedHint });
  const wanted = listed(signatures.map(({ kind, keyName }) => (kind in hashes ? keyName : `${keyName} (${kind})`)));
  throw new ApkError("signature", `${what} is signed by ${wanted}, and the known keys are ${known}`, {
    hint: addKeyHint,
  });
}

function readKey({ name, pem }: PublicKey): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === "rsa") return key;
  } catch (cause) {
    throw badKey(name, cause);
  }
  throw badKey(name);
}

function badKey(name: string, cause?: unknown): ApkError {
  return new ApkError("key", `${printable(name)} is no RSA public key in PEM form`, {
    hint: "A key file begins with -----BEGIN PUBLIC KEY-----: name the public half of the key that signs the repository.",
    cause,
  });
}

function listed(names: readonly string[]): string {
  return printable([...new Set(names)].sort().join(", "));
}

const addKeyHint = "Add the public key that signs the repository to the keyring.";
const damagedHint = "The file is damaged or was changed: fetch it again, or ask whoever publishes the repository.";
