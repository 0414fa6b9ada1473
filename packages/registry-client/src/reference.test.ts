import { describe, expect, test } from "vitest";
import { isRegistryError } from "./error.ts";
import { apiHost, formatReference, isLoopback, parseReference } from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

test.for([
  ["alpine", "docker.io/library/alpine"],
  ["alpine:3.20", "docker.io/library/alpine:3.20"],
  ["team/image", "docker.io/team/image"],
  ["index.docker.io/alpine", "docker.io/library/alpine"],
  ["registry-1.docker.io/alpine:1", "docker.io/library/alpine:1"],
  ["localhost/a", "localhost/a"],
  ["localhost:5000/a:b", "localhost:5000/a:b"],
  ["registry.example.com/a/b/c:latest", "registry.example.com/a/b/c:latest"],
  ["[::1]:5000/a", "[::1]:5000/a"],
  [`registry.example.com:5000/a@${digest}`, `registry.example.com:5000/a@${digest}`],
  [`registry.example.com/a:1@${digest}`, `registry.example.com/a:1@${digest}`],
])("%s is %s", ([text, full]) => {
  expect(formatReference(parseReference(text as string))).toBe(full);
});

test.for([
  "",
  "a b",
  "Registry/UPPER",
  "registry.example.com/",
  "registry.example.com/a:",
  "registry.example.com/a:-x",
  "registry.example.com/a//b",
  "registry.example.com/../b",
  "https://registry.example.com/a",
  "registry.example.com/a@sha256:abc",
  `registry.example.com/a@sha512:${"a".repeat(128)}`,
  `a:${"x".repeat(129)}`,
])("%j is refused, with a hint", (text) => {
  const error = caught(() => parseReference(text));
  expect(isRegistryError(error) && error.code).toBe("reference");
  expect(isRegistryError(error) && error.hint).not.toBe("");
});

test("a password in a reference is not repeated", () => {
  const error = caught(() => parseReference("tester:hunter22@registry.example.com/a:b"));
  expect(isRegistryError(error) && error.code).toBe("reference");
  expect(String(error)).not.toContain("hunter22");
});

test("Docker Hub's API is at another host than its name", () => {
  expect(apiHost("docker.io")).toBe("registry-1.docker.io");
  expect(apiHost("registry.example.com:5000")).toBe("registry.example.com:5000");
});

describe("this machine", () => {
  test.for(["localhost", "localhost:5000", "127.0.0.1:80", "127.1.2.3", "[::1]:5000", "[::1]"])("is %s", (host) => {
    expect(isLoopback(host)).toBe(true);
  });
  test.for(["localhost.example", "127.0.0.1.example", "128.0.0.1", "registry", "[::2]:1", "1127.0.0.1"])(
    "is not %s",
    (host) => {
      expect(isLoopback(host)).toBe(false);
    },
  );
});

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
