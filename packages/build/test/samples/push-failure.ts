import { build, partsOf, placesIn } from "@melange2/build";
import currentState from "@melange2/capture-current-state";
import localEngine from "@melange2/engine-local";
import registry from "@melange2/exporter-registry";

const [recipe = "pkg.yaml", base = "rootfs.tar", ref = "registry.example.com/debug:latest"] = process.argv.slice(2);

const report = await build(
  {
    recipe,
    base,
    engine: { name: "local", options: {} },
    outDirectory: `${process.cwd()}/packages`,
    exportOnFailure: {
      type: "registry",
      capture: "current-state",
      options: [{ name: "ref", value: ref, source: "this script" }],
      allowSecrets: false,
      strict: true,
    },
    tell: (event) => {
      if (event.type === "step-finished") console.log(`${event.step} ${event.state}`);
    },
    signal: AbortSignal.timeout(600_000),
  },
  {
    places: placesIn(`${process.cwd()}/state`),
    parts: partsOf({ engines: { local: localEngine }, exporters: [registry], captures: [currentState] }),
    env: process.env,
    directory: process.cwd(),
    output: { unusable: "it is this script's", hint: "Name a file." },
    toolVersion: "1.0.0",
  },
);

const exported = report.status === "failed" ? report.failure?.export : undefined;
console.log(report.status, exported?.ok ? exported.receipt.location : (exported?.message ?? ""));
