import type { BuildkitClient } from "@melange2/buildkit-client";
import { exec, marshal, type State, scratch } from "@melange2/llb";
import { neverRun } from "./permits.ts";
import { stopCache } from "./unit-op.ts";
import { places } from "./wrapper-script.ts";

/** Tells the wrapper of a running unit to end its step and keep what there is. `from`: a state with a shell, such as the unit's start. */
export async function stopUnit(client: BuildkitClient, from: State, run: string): Promise<void> {
  const flag = exec(from, {
    name: "melange2 stop",
    args: ["/bin/sh", "-c", ': >"$1"', "sh", `${places.stop}/${run}`],
    readonlyRoot: true,
    network: "none",
    mounts: [
      { type: "cache", target: places.stop, id: stopCache },
      // An op has to have a result.
      { type: "bind", target: places.status, from: scratch },
    ],
  });
  await client.solve(marshal(flag.mount(places.status)).bytes, { serve: { secrets: neverRun } });
}
