import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { BuildkitError } from "./error.ts";
import { translateError } from "./translate.ts";

const context = { address: "unix:///daemon.sock", signal: undefined, lost: undefined };

function grpcError(message: string, code: Code, details: Readonly<Record<string, unknown>> = {}): ConnectError {
  const error = new ConnectError(message, code);
  error.details = Object.entries(details).map(([type, value]) => ({
    type,
    value: new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)),
  }));
  return error;
}

describe("translateError", () => {
  it("takes vertex and exit code from the details of a current daemon", () => {
    const error = grpcError("process did not complete", Code.Unknown, {
      "stack.Stack+json": { frames: [] },
      "errdefs.Vertex+json": { digest: "sha256:ab" },
      "pb.ExitMessage+json": { Code: 42 },
    });
    expect(translateError(error, "solve", context)).toMatchObject({
      code: "solve-failed",
      message: "solve: process did not complete",
      vertex: "sha256:ab",
      exitCode: 42,
    });
  });

  it("takes the exit code from the text of an old one", () => {
    const error = grpcError("executor failed running [/bin/sh]: exit code: 137", Code.Unknown);
    expect(translateError(error, "solve", context)).toMatchObject({
      code: "solve-failed",
      vertex: undefined,
      exitCode: 137,
    });
  });

  it("is not misled by details that are not what they say", () => {
    const error = grpcError("odd", Code.Unknown, {
      "errdefs.Vertex+json": "{",
      "x.ExitMessage+json": [],
    });
    expect(translateError(error, "solve", context)).toMatchObject({
      code: "request",
      vertex: undefined,
      exitCode: undefined,
    });
  });

  it.each([
    [Code.Unimplemented, "", "unsupported"],
    [Code.NotFound, "", "not-found"],
    [Code.Unknown, "open /x: no such file or directory", "not-found"],
    [Code.PermissionDenied, "", "request"],
    [Code.Unavailable, "", "connection-lost"],
    [Code.Unknown, "", "request"],
  ])("code %i %s is %s", (code, message, expected) => {
    expect(translateError(grpcError(message, code), "x", context).code).toBe(expected);
  });

  it("prefers the signal's reason, then the end of the connection, to what the request says", () => {
    const lost = new BuildkitError("connection-lost", "gone", { hint: "." });
    const error = grpcError("stream closed", Code.Canceled);
    expect(translateError(error, "x", { ...context, lost })).toBe(lost);
    expect(translateError(error, "x", { ...context, signal: AbortSignal.abort(), lost })).toMatchObject({
      code: "aborted",
    });
    const reason = new BuildkitError("not-found", "the job is closed", { hint: "." });
    expect(translateError(error, "x", { ...context, signal: AbortSignal.abort(reason), lost })).toBe(reason);
  });
});
