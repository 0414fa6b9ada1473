import type { EngineOptions, Unit } from "@melange2/core";

/** What daemons give every step, as Docker does. */
const given = new Set(
  [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
  ].map((name) => `CAP_${name}`),
);

/** Says once of each capability that a recipe adds or drops and that steps on a daemon do without, or have all the same. */
export function capabilityNotices({ onFinding }: EngineOptions): (unit: Unit) => void {
  const told = new Set<string>();
  return (unit) => {
    for (const { capabilities } of unit.steps) {
      for (const name of capabilities.add) if (!given.has(name)) tell(name, `steps do without ${name}`);
      for (const name of capabilities.drop) if (given.has(name)) tell(name, `steps have ${name} all the same`);
    }
  };

  function tell(name: string, what: string): void {
    if (told.has(name)) return;
    told.add(name);
    onFinding?.({
      severity: "warning",
      message: `on BuildKit, ${what}: a daemon gives all steps the same capabilities`,
      hint: "Build with --engine local where that matters.",
    });
  }
}
