import { describe, expect, test } from "vitest";
import { isMelangeError } from "./error.ts";
import { imageName } from "./image-name.ts";

const values: Record<string, string> = {
  "{package}": "gtk+3.0",
  "{version}": "1.2_rc1+git",
  "{name}": "LibX__y",
  "{long}": "p".repeat(200),
};
const fill = (placeholder: string) => values[placeholder] ?? placeholder;

describe("imageName", () => {
  test.each([
    ["debug:failed-build", "debug:failed-build"],
    ["debug", "debug:latest"],
    ["localhost:5000/debug", "localhost:5000/debug:latest"],
    ["registry.example.com/team/debug:v1", "registry.example.com/team/debug:v1"],
    ["[::1]:5000/debug:v1", "[::1]:5000/debug:v1"],
    ["localhost/debug:v1", "localhost/debug:v1"],
    ["Registry.Example.com/debug:v1", "Registry.Example.com/debug:v1"],
    ["Host:5000/debug:v1", "Host:5000/debug:v1"],
    ["my-org/debug:v1", "my-org/debug:v1"],
    ["debug/{package}:{version}", "debug/gtk-3.0:1.2_rc1-git"],
    ["debug/{name}:{name}", "debug/libx-y:LibX__y"],
    ["debug:{long}-20261201-113141-17ab64", `debug:${"p".repeat(105)}-20261201-113141-17ab64`],
    ["debug:{version}-{long}", `debug:1.2_rc1-git-${"p".repeat(116)}`],
    ["debug/{long}/{long}/{long}:1", `debug/${"p".repeat(81)}/${"p".repeat(81)}/${"p".repeat(81)}:1`],
    ["debug:{package}-{build}", "debug:gtk-3.0-build"],
  ])("%s is %s", (template, name) => {
    expect(imageName(template, fill)).toBe(name);
  });

  test.each([
    "",
    ":tag",
    "Debug:x",
    "debug:",
    "debug:-x",
    "MyOrg/debug:1",
    "my--Org/debug:1",
    "host:/debug:1",
    "de bug:x",
    "a..b/c:1",
    "a.-b/c:1",
    "a.b-:5000/c:1",
    "0".repeat(64),
    `${"f".repeat(64)}:1`,
    "debug@sha256:00",
    "a//b:x",
    "/debug:x",
    `d:${"x".repeat(129)}`,
  ])("refuses %j with a hint", (template) => {
    let error: unknown;
    try {
      imageName(template, fill);
    } catch (thrown) {
      error = thrown;
    }
    expect(isMelangeError(error) && error.code).toBe("usage");
  });
});
