// Starts services by hand and keeps them until Ctrl-C: node --conditions=melange2-source tooling/services/src/main.ts docker20 registry
// The printed variables, given to later test runs, spare those the start.
import { type ProvisionName, provisions } from "./provisions.ts";
import { start } from "./start.ts";

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in provisions));
if (names.length === 0 || unknown.length > 0) {
  console.error(
    `${unknown.length > 0 ? `unknown: ${unknown.join(", ")}\n` : ""}known: ${Object.keys(provisions).join(" ")}`,
  );
  process.exit(2);
}
const services = await start(names as ProvisionName[]);
const stay = setInterval(() => {}, 1 << 30);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    clearInterval(stay);
    await services.stop();
  });
}
// Last, since whoever reads it may end this process at once.
for (const [name, reason] of services.missing) console.error(`${name}: ${reason}`);
for (const [variable, value] of Object.entries(services.env)) console.log(`export ${variable}='${value}'`);
