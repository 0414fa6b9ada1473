#!/usr/bin/env node
const [major] = process.versions.node.split(".");
if (Number(major) < 22) {
  process.stderr.write(`melange2: error: Node ${process.versions.node} is too old; melange2 needs Node 22 or newer.\n`);
  process.exit(2);
}
const { execute, settings } = await import("@oclif/core");
settings.enableAutoTranspile = false;
await execute({ dir: import.meta.url });
