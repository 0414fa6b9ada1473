import { ApkError } from "@melange2/apk";

/** Finds the `Authorization` for a request, if it has any. */
export type AuthorizationFor = (url: URL) => string | undefined;

/**
 * Credentials from addresses themselves and from `HTTP_AUTH`, as apk and apko write it: `basic:HOST:USER:PASSWORD`, several separated by commas, each for
 * its host alone. HOST may have a port. Throws `repository` for what is not of this form; its text is in no message.
 */
export function authorizations(httpAuth: string | undefined): AuthorizationFor {
  const entries = (httpAuth ?? "").split(",").filter(Boolean).map(parseEntry);
  return (url) => {
    if (url.username !== "" || url.password !== "")
      return basic(decodeURIComponent(url.username), decodeURIComponent(url.password));
    const found = entries.find(({ host }) => host === url.host || host === url.hostname);
    return found && basic(found.user, found.password);
  };
}

function parseEntry(entry: string): { readonly host: string; readonly user: string; readonly password: string } {
  const [, host = "", user, password] = /^basic:([^:]+(?::[0-9]+(?=:[^:]*:))?):([^:]*):(.*)$/s.exec(entry.trim()) ?? [];
  if (user === undefined || password === undefined)
    throw new ApkError("repository", "HTTP_AUTH is not of the form basic:HOST:USER:PASSWORD", {
      hint: "Several are separated by commas; a host may have a port.",
    });
  return { host, user, password };
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}
