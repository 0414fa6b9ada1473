import { expect, test } from "vitest";
import { RegistryError } from "./error.ts";
import { retry, retryAfter, systemClock, Transient } from "./retry.ts";

const failure = new RegistryError("unavailable", "down", { hint: "wait" });

function policy(attempts: number) {
  const slept: number[] = [];
  const clock = { now: () => 0, sleep: async (milliseconds: number) => void slept.push(milliseconds) };
  return { attempts, clock, signal: new AbortController().signal, slept };
}

test("pauses grow, up to a limit", async () => {
  const given = policy(9);
  await expect(retry(given, async () => Promise.reject(new Transient(failure)))).rejects.toBe(failure);
  expect(given.slept).toHaveLength(8);
  given.slept.forEach((pause, index) => {
    const middle = Math.min(500 * 2 ** index, 20_000);
    expect(Math.abs(pause - middle)).toBeLessThanOrEqual(middle / 4);
  });
});

test("a registry may ask for longer pauses, not for none", async () => {
  const given = policy(3);
  const asked = [0, 60_000];
  const work = async () => Promise.reject(new Transient(failure, asked.shift()));
  await expect(retry(given, work)).rejects.toBe(failure);
  expect(given.slept[0]).toBeGreaterThanOrEqual(375);
  expect(given.slept[1]).toBe(60_000);
});

test("progress makes the attempts count anew", async () => {
  const given = policy(2);
  let calls = 0;
  const work = async (patience: { progressed(): void }) => {
    calls += 1;
    if (calls < 6) {
      patience.progressed();
      throw new Transient(failure);
    }
    return "done";
  };
  await expect(retry(given, work)).resolves.toBe("done");
});

test("what is final is not tried again", async () => {
  const given = policy(5);
  let calls = 0;
  await expect(
    retry(given, async () => {
      calls += 1;
      throw failure;
    }),
  ).rejects.toBe(failure);
  expect(calls).toBe(1);
});

test.for([
  [undefined, undefined],
  ["0", 0],
  ["120", 120_000],
  ["Thu, 01 Jan 1970 00:00:05 GMT", 5000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["soon", undefined],
] as const)("Retry-After: %s", ([header, milliseconds]) => {
  expect(retryAfter(header, 0)).toBe(milliseconds);
});

test("the system's clock stops sleeping with the signal's reason", async () => {
  const reason = new Error("interrupted");
  const abort = new AbortController();
  const sleeping = systemClock.sleep(60_000, abort.signal);
  abort.abort(reason);
  await expect(sleeping).rejects.toBe(reason);
});
