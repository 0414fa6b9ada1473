import { holdsSecret, MelangeError, matcherOf, type Plan, type SecretSource, shortestSecret } from "@melange2/core";
import { parseEnvFile } from "./env-file.ts";
import { readEnvFileText } from "./env-file-text.ts";

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;
const secretLike = /TOKEN|SECRET|PASSWORD|_KEY$/i;

/** Names that change how the engines' own programs, the loader or a shell start: no engine can hand them over as secrets. */
const reservedName = /^(?:PATH|LC_ALL|LIBMOUNT_FORCE_MOUNT2|IFS|ENV|GLIBC_TUNABLES|LD_.*)$/;

export interface StepVariables {
  /** Goes into the plan, in the clear; holds no secret. */
  readonly plain: Readonly<Record<string, string>>;
  readonly secrets: SecretSource;
}

export interface VariableSources {
  /** See `env-file.ts`; the first that has a name wins. */
  readonly envFiles: readonly string[];
  /** Names in `envFiles` that are not secret although they look like it. */
  readonly plainNames: readonly string[];
  /** Names of the user's own environment whose values are secrets for the steps. */
  readonly secretNames: readonly string[];
  /** Names of secrets that may be too short to be masked and searched for. */
  readonly shortNames: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
}

/**
 * Sorts variables into plain ones and secrets; no name is in both, and `secretNames` come before what a file says.
 * Rejects with code `usage` where one is missing or misnamed, or where a secret is too short to be masked.
 */
export async function readVariables(sources: VariableSources): Promise<StepVariables> {
  const plain = new Map<string, string>();
  const secret = new Map<string, string>();
  for (const name of sources.secretNames) {
    if (!variableName.test(name)) {
      throw new MelangeError("usage", `--secret-env ${name}: not a variable's name`, {
        hint: "Give the name only; the value is taken from melange2's own environment.",
      });
    }
    const value = sources.env[name];
    if (value === undefined) {
      throw new MelangeError("usage", `--secret-env ${name}: the variable is not set`, {
        hint: `Set it first: export ${name}=…`,
      });
    }
    secret.set(name, value);
  }
  for (const file of sources.envFiles) {
    for (const [name, value] of parseEnvFile(await readEnvFileText(file, sources.signal), file)) {
      if (plain.has(name) || secret.has(name)) continue;
      if (secretLike.test(name) && !sources.plainNames.includes(name)) secret.set(name, value);
      else plain.set(name, value);
    }
  }
  // The plan keeps plain values: one that holds a secret, as a URL with a password does, is a secret too.
  const matcher = matcherOf(sourceOf(new Map(secret)));
  for (const [name, value] of plain) {
    if (!holdsSecret(matcher, Buffer.from(value))) continue;
    plain.delete(name);
    secret.set(name, value);
  }
  for (const [name, value] of secret) {
    refuseReserved(name);
    if (!sources.shortNames.includes(name)) refuseShort(name, value);
  }
  return { plain: Object.fromEntries(plain), secrets: sourceOf(secret) };
}

/** Characters from which on a secret that stands somewhere does not stand there by chance. */
const telling = 8;

/** What is kept of a build shows its recipe, so that a recipe cannot spell a secret out. Throws code `usage`. */
export function refuseSpelledOut(secrets: SecretSource, plan: Plan): void {
  const text = Buffer.from(JSON.stringify(plan));
  for (const name of secrets.names) {
    const value = secrets.get(name) ?? "";
    if (value.trim().length < telling) continue;
    if (!holdsSecret(matcherOf({ names: [name], get: () => value }), text)) continue;
    throw new MelangeError("usage", `the recipe spells out the value of the secret ${name}`, {
      hint: `Let the step use $${name} instead.`,
    });
  }
}

function sourceOf(values: ReadonlyMap<string, string>): SecretSource {
  return { names: [...values.keys()].sort(), get: (name) => values.get(name) };
}

function refuseReserved(name: string): void {
  if (!reservedName.test(name)) return;
  throw new MelangeError("usage", `a secret cannot be called ${name}`, {
    hint: "Give it another name and set the variable from it in the step.",
  });
}

/** An empty value holds nothing to hide. */
function refuseShort(name: string, value: string): void {
  const { length } = value.trim();
  if (length === 0 || length >= shortestSecret) return;
  throw new MelangeError(
    "usage",
    `the secret ${name} is too short: below ${shortestSecret} characters it cannot be masked`,
    {
      hint: `Give a longer value, or allow that it is shown and exported: --allow-short-secret ${name}.`,
    },
  );
}

/** The secrets that a kept build used, from the user's environment of now. Ones that are not set are simply absent. */
export function secretsFromEnv(
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): SecretSource {
  const present = names.filter((name) => env[name] !== undefined);
  return { names: present, get: (name) => (present.includes(name) ? env[name] : undefined) };
}
