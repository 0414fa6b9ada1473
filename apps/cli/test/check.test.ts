import { expect, test } from "vitest";
import { place } from "./melange2.ts";

const findings = (value: unknown, kind: "engines" | "exporters", name: string) =>
  (value as Record<string, { name: string; usable?: boolean; needs?: string[]; findings: { message: string }[] }[]>)[
    kind
  ]?.find((one) => one.name === name);

test("check says what each engine and destination lacks; the default engine decides the exit code", async () => {
  await using here = await place();
  const nowhere = { BUILDKIT_HOST: "unix:///nowhere/buildkitd.sock", DOCKER_HOST: "unix:///nowhere/docker.sock" };
  const here1 = await here.json(["check"], { env: nowhere });
  expect(here1.code, here1.stderr).toBe(0);
  expect(findings(here1.value, "engines", "local")).toMatchObject({ usable: true });
  expect(findings(here1.value, "engines", "buildkit")).toMatchObject({
    usable: false,
    findings: [{ message: expect.stringContaining("/nowhere/buildkitd.sock") }],
  });
  expect(findings(here1.value, "exporters", "docker")).toMatchObject({
    usable: false,
    findings: [{ message: expect.stringContaining("/nowhere/docker.sock") }],
  });
  expect(findings(here1.value, "exporters", "registry")).toMatchObject({ needs: ["ref"] });

  const other = await here.run(["check"], { env: { ...nowhere, MELANGE2_ENGINE: "buildkit" } });
  expect(other.code).toBe(3);
  expect(other.stdout.toString()).toMatch(/^ {2}buildkit \(the default\): cannot be used$/m);
  expect(other.stdout.toString()).toContain("registry: not checked, needs --export-ref");
});

test("check names an engine that nobody brings", async () => {
  await using here = await place();
  const ended = await here.run(["check"], { env: { MELANGE2_ENGINE: "nobodys" } });
  expect(ended.code).toBe(3);
  expect(ended.stdout.toString()).toContain('there is no engine "nobodys"');
});
