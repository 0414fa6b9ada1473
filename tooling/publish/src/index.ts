// For tests that use the packages as they would be published.
export { linkThirdParty } from "./consumer.ts";
export type { Pack } from "./pack.ts";
export { packAll } from "./pack.ts";
export type { PublicPackage } from "./packages.ts";
export { publicPackages } from "./packages.ts";
