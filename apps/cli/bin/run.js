#!/usr/bin/env -S node --max-semi-space-size=16 --
// With the space that V8 gives by itself to what lives shortly, a hundred megabytes of log in short lines would take 100 MB more.
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
