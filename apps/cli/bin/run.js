#!/usr/bin/env -S node --
const [major] = process.versions.node.split(".");
if (Number(major) < 22) {
  process.stderr.write(`melange2: error: Node ${process.versions.node} is too old; melange2 needs Node 22 or newer.\n`);
  process.exit(2);
}
const { execute, settings } = await import("@oclif/core");
settings.enableAutoTranspile = false;
// oclif shows plugins that it cannot load with a stack trace; the commands that use plugins say it in a line (src/discovery.ts).
const printWarning = process.listeners("warning");
process.removeAllListeners("warning").on("warning", (warning) => {
  if (!warning.name.includes(" Plugin: ")) for (const print of printWarning) print(warning);
});
await execute({ dir: import.meta.url });
