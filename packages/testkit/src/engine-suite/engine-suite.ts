import assert from "node:assert/strict";
import { benchTests, type EngineSuiteOptions } from "./bench.ts";
import { declareCaching } from "./caching.ts";
import { declareEffects } from "./effects.ts";
import { declareEndings } from "./endings.ts";
import { declareExactImages } from "./exact-images.ts";
import { declareImages } from "./images.ts";
import { declareIsolation } from "./isolation.ts";
import { declareKeptStates } from "./kept-states.ts";

/**
 * Holds an engine to its contract by running real steps on a busybox root filesystem. What an engine declares in `can` is read from
 * there and asked for; what a host cannot do is said by `lacks`, and skipped with that reason.
 */
export function engineSuite(options: EngineSuiteOptions): void {
  const declare = benchTests(options);
  declare("says who it is, and that nothing is missing here", async ({ engine, session, signal }) => {
    assert.match(engine.name, /^[a-z][a-z0-9-]*$/);
    const findings = await engine.check({ signal });
    assert.deepEqual(
      findings.filter(({ severity }) => severity === "error"),
      [],
    );
    assert.ok(session.can.claims.includes("archive"), "every engine writes archives");
  });
  declareEffects(declare, options.lacks);
  declareEndings(declare);
  declareCaching(declare);
  declareIsolation(declare, options.lacks);
  declareKeptStates(declare);
  declareImages(declare);
  declareExactImages(declare);
}
