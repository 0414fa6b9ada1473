import { expect, test } from "vitest";
import { refusedByDaemon } from "./daemon-error.ts";

test("what a daemon says reaches the message without control characters, and not at any length", () => {
  const { message } = refusedByDaemon("load the image", 500, `boom \u001b[31m\u009b2J\r\n${"x".repeat(5000)}`);
  expect(message).toMatch(/^the Docker daemon did not load the image: boom \P{Cc}+ \(HTTP 500\)$/u);
  expect(message.length).toBeLessThan(1100);
});
