/** What proves to a registry who asks: a user's password, or a token that its token service takes for one. */
export type Credentials = { readonly username: string; readonly password: string } | { readonly identityToken: string };

/** Credentials for one registry; undefined: anonymous. Called at most once by a repository, when the registry first asks. */
export type CredentialsFor = (registry: string) => Promise<Credentials | undefined>;
