import { type Finding, noSecrets } from "@melange2/core";
import { testStep, testUnit } from "@melange2/testkit";
import { expect, test } from "vitest";
import { capabilityNotices } from "./capability-notices.ts";

const never = new AbortController().signal;

test("is told once of each capability that a daemon neither adds nor drops", () => {
  const findings: Finding[] = [];
  const onFinding = (finding: Finding) => void findings.push(finding);
  const tell = capabilityNotices({ capture: true, secrets: noSecrets, network: true, signal: never, onFinding });
  const capabilities = { add: ["CAP_SYS_PTRACE", "CAP_CHOWN"], drop: ["CAP_NET_RAW", "CAP_SYS_ADMIN"] };
  for (const id of ["main-0", "main-1"]) tell(testUnit(testStep(id, "true", { capabilities })));
  expect(findings.map(({ message }) => message)).toEqual([
    expect.stringContaining("steps do without CAP_SYS_PTRACE"),
    expect.stringContaining("steps have CAP_NET_RAW all the same"),
  ]);
});
