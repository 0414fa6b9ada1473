import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// Tests run on the sources: the condition leads every workspace import to its src folder.
const conditions = ["melange2-source"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["{packages,apps,tooling}/*/{src,test}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    globalSetup: ["tooling/services/src/vitest-setup.ts"],
    reporters: ["default", "./tooling/services/src/vitest-summary.ts"],
    // Tests wait for daemons, disks and children more than they compute.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
