import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SpanFactory } from "../span-factory.test-support.js";
import { SpanStore } from "./store.js";
import { describeByService, type WaitOptions, waitForQuiet } from "./wait.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("a wait leaves no timer and no listener behind", () => {
  test.each<{ when: string; options: WaitOptions; closes?: true; outcome: string }>([
    { when: "it was quiet", options: { atLeast: 0 }, outcome: "resolved" },
    { when: "no more would come", options: { enough: () => true }, outcome: "resolved" },
    { when: "the time was up", options: { timeoutMs: 200 }, outcome: "gave up after 200 ms" },
    { when: "`enough` threw", options: { enough: throwing }, outcome: "my test's mistake" },
    { when: "the receiver was closed", options: {}, closes: true, outcome: "was closed" },
  ])("when $when", async ({ options, closes, outcome }) => {
    const store = new SpanStore(10);
    const receiver = new AbortController();
    const ended = waitForQuiet(store, options, describeByService, receiver.signal).then(
      () => "resolved",
      String,
    );

    if (closes) receiver.abort();
    else await vi.advanceTimersByTimeAsync(300);
    expect(await ended).toContain(outcome);
    // A span that comes too late starts no new wait.
    store.add([new SpanFactory().root({})]);

    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(receiver.signal, "abort")).toEqual([]);
  });
});

describe("without options a wait", () => {
  test("ends when 300 ms passed since the last span", async () => {
    const store = new SpanStore(10);
    const onEnd = vi.fn();
    const { signal } = new AbortController();
    const ended = waitForQuiet(store, {}, describeByService, signal).then(onEnd);

    await vi.advanceTimersByTimeAsync(200);
    store.add([new SpanFactory().root({})]);
    await vi.advanceTimersByTimeAsync(299);
    expect(onEnd).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);

    await ended;
    expect(onEnd).toHaveBeenCalledWith(store.spans);
  });

  test("fails after 15 seconds", async () => {
    const store = new SpanStore(10);
    const onError = vi.fn();
    const { signal } = new AbortController();
    const ended = waitForQuiet(store, {}, describeByService, signal).catch(onError);

    await vi.advanceTimersByTimeAsync(14_999);
    expect(onError).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);

    await ended;
    expect(String(onError.mock.lastCall)).toContain("gave up after 15000 ms");
  });
});

function throwing(): never {
  throw new Error("my test's mistake");
}
