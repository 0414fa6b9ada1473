import { randomUUID } from "node:crypto";
import { type RegistryRequest, type Reply, refuse, reply } from "./exchange.ts";

/** Who may do what. With `bearer` the registry is its own token service. */
export interface AccessOptions {
  readonly scheme: "basic" | "bearer";
  readonly username: string;
  readonly password: string;
  /** Bearer: what stands for the user at the token service besides the password. */
  readonly identityToken?: string;
  /** Bearer: everybody may pull. Default false. */
  readonly anonymousPull?: boolean;
  /** Bearer: where clients are sent for a token; default this registry. */
  readonly realm?: string;
  /** Bearer: the lifetime that tokens are given out with; seconds, default 300. They end only by `expireTokens`. */
  readonly lifetime?: number;
}

export interface Access {
  /** The refusal, unless the request may do this to the repository. `undefined` repository: the API's front door. */
  check(request: RegistryRequest, repository: string | undefined, action: "pull" | "push"): Reply | undefined;
  /** The token service. */
  token(request: RegistryRequest): Promise<Reply>;
  expireTokens(): void;
}

const service = "memory-registry";

/** Access for everybody, or for one user. `origin`: of this registry, for the realm. */
export function createAccess(options: AccessOptions | undefined, origin: () => string): Access {
  const tokens = new Map<string, ReadonlySet<string>>();
  const basic = options && `Basic ${Buffer.from(`${options.username}:${options.password}`).toString("base64")}`;

  const challenge = (scope: string | undefined): string => {
    if (options?.scheme !== "bearer") return `Basic realm="${service}"`;
    const realm = options.realm ?? `${origin()}/token`;
    return `Bearer realm="${realm}",service="${service}"${scope === undefined ? "" : `,scope="${scope}"`}`;
  };

  const granted = (scopes: readonly string[], known: boolean): ReadonlySet<string> => {
    const rights = new Set<string>(known ? ["door"] : []);
    for (const scope of scopes.flatMap((text) => text.split(" "))) {
      const [, name, actions] = /^repository:(.+):([a-z,]+)$/.exec(scope) ?? [];
      for (const action of actions?.split(",") ?? []) {
        if (known || (action === "pull" && options?.anonymousPull === true)) rights.add(`${name}:${action}`);
      }
    }
    return rights;
  };

  return {
    check(request, repository, action) {
      if (options === undefined) return undefined;
      const given = request.headers.authorization;
      if (options.scheme === "basic") {
        if (given === basic) return undefined;
      } else {
        const rights = given?.startsWith("Bearer ") ? tokens.get(given.slice("Bearer ".length)) : undefined;
        if (rights?.has(repository === undefined ? "door" : `${repository}:${action}`)) return undefined;
      }
      const scope = repository && `repository:${repository}:${action === "push" ? "pull,push" : "pull"}`;
      return refuse(401, "UNAUTHORIZED", "authentication required", { "www-authenticate": challenge(scope) });
    },

    async token(request) {
      const given = request.headers.authorization;
      const form = request.method === "POST" ? new URLSearchParams((await request.body()).toString("utf8")) : undefined;
      if (given !== undefined && given !== basic) return refuse(401, "UNAUTHORIZED", "wrong user or password");
      const refresh = form?.get("refresh_token");
      if (form !== undefined && (!options?.identityToken || refresh !== options.identityToken)) {
        return refuse(401, "UNAUTHORIZED", "wrong identity token");
      }
      const token = randomUUID();
      const scopes = form === undefined ? request.query.getAll("scope") : [form.get("scope") ?? ""];
      tokens.set(token, granted(scopes, given !== undefined || form !== undefined));
      const answer = { token, access_token: token, expires_in: options?.lifetime ?? 300 };
      return reply(200, { "content-type": "application/json" }, Buffer.from(JSON.stringify(answer)));
    },

    expireTokens() {
      tokens.clear();
    },
  };
}
