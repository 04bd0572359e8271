import { setImmediate as nextTurn } from "node:timers/promises";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { describe, expect, test, vi } from "vitest";
import { jsonRequest } from "../otlp/request.test-support.js";
import type { Span } from "../span.js";
import { type OtlpReceiver, startReceiver } from "./index.js";
import { WaitTimeoutError } from "./wait.js";

const TRACE_A = "a".repeat(32);
const TRACE_B = "b".repeat(32);

describe("a receiver", () => {
  test("listens on free ports of the loopback address, and gives their URLs", async () => {
    await using first = await startReceiver();
    await using second = await startReceiver();

    for (const url of [first.httpUrl, first.grpcUrl, second.httpUrl, second.grpcUrl]) {
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    }
    expect(new Set([first.httpUrl, first.grpcUrl, second.httpUrl, second.grpcUrl]).size).toBe(4);
  });

  test("a port that is taken is an error, and nothing keeps running", async () => {
    setLogVerbosity(logVerbosity.NONE);
    await using first = await startReceiver();
    const taken = Number(new URL(first.httpUrl).port);

    await expect(startReceiver({ httpPort: taken })).rejects.toThrow(/EADDRINUSE/);
    const { httpUrl } = await closed();
    const httpPort = Number(new URL(httpUrl).port);
    await expect(startReceiver({ httpPort, grpcPort: taken })).rejects.toThrow(/bound|EADDRINUSE/);
    await using again = await startReceiver({ httpPort, grpc: false });
    expect(again.httpUrl).toBe(httpUrl);
  });

  test("is closed by `await using`, and closing twice is once", async () => {
    const receiver = await startReceiver();
    {
      await using inner = receiver;
      await send(inner, TRACE_A, "1");
    }

    await receiver.close();

    await expect(fetch(receiver.httpUrl)).rejects.toThrow();
    expect(receiver.spans).toHaveLength(1);
  });

  test("keeps what fits, drops the oldest and counts them", async () => {
    await using receiver = await startReceiver({ grpc: false, maxSpans: 10 });

    for (let index = 1; index <= 12; index += 1) await send(receiver, TRACE_A, String(index));

    expect(receiver.spans.length + receiver.dropped).toBe(12);
    expect(receiver.spans.length).toBeLessThanOrEqual(10);
    expect(receiver.spans.at(-1)?.spanId).toBe("12".padStart(16, "0"));
  });

  test("gives a snapshot of its spans, and can be cleared", async () => {
    await using receiver = await startReceiver({ grpc: false });
    await send(receiver, TRACE_A, "1");
    const before = receiver.spans;

    await send(receiver, TRACE_A, "2");
    expect(before).toHaveLength(1);
    expect(receiver.spans).toHaveLength(2);

    receiver.clear();
    expect(receiver.spans).toEqual([]);
  });

  test("calls a listener with every batch until it is unsubscribed", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const received: string[] = [];
    const stop = receiver.onSpans((spans) => received.push(...spans.map((span) => span.spanId)));

    await send(receiver, TRACE_A, "1");
    stop();
    await send(receiver, TRACE_A, "2");

    expect(received).toEqual(["1".padStart(16, "0")]);
  });

  test("an error of a listener is an uncaught exception, and does not refuse the request", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const uncaught = vi.fn();
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException").on("uncaughtException", uncaught);
    try {
      receiver.onSpans(() => {
        throw new Error("my test's mistake");
      });

      expect(await send(receiver, TRACE_A, "1")).toBe(200);
      await nextTurn();
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of others) process.on("uncaughtException", listener);
    }

    expect(uncaught.mock.calls).toMatchObject([
      [{ message: "my test's mistake" }, expect.anything()],
    ]);
  });
});

describe("waiting for quiet", () => {
  test("ends when every wanted service was seen, however late the last one exports", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const waiting = receiver.waitForQuiet({ services: ["early", "late"], quietMs: 20 });
    await send(receiver, TRACE_A, "1", "early");
    // Quiet passes in between; what is missing keeps it waiting.
    const seen = await receiver.waitForQuiet({ quietMs: 60 });
    expect(seen).toHaveLength(1);

    await send(receiver, TRACE_A, "2", "late");

    expect(services(await waiting)).toEqual(["early", "late"]);
  });

  test("a service that never exports fails at the timeout, by name, with what did arrive", async () => {
    await using receiver = await startReceiver({ grpc: false });
    await send(receiver, TRACE_A, "1", "gateway");

    const waiting = receiver.waitForQuiet({
      services: ["gateway", "orders"],
      quietMs: 10,
      timeoutMs: 60,
    });

    const error = await waiting.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WaitTimeoutError);
    expect(String(error)).toContain("gave up after 60 ms, missing:");
    expect(String(error)).toContain('no span of service "orders"');
    expect(String(error)).not.toContain('no span of service "gateway"');
    expect(String(error)).toContain("gateway: 1 span");
    expect(error).toMatchObject({ spans: [{ service: "gateway" }] });
  });

  test("looks at one trace only when asked to", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const waiting = receiver.waitForTrace(TRACE_B, { quietMs: 20, services: ["orders"] });

    await send(receiver, TRACE_A, "1", "orders");
    await send(receiver, TRACE_B, "2", "orders");

    expect(await waiting).toMatchObject([{ traceId: TRACE_B }]);
  });

  test("says that only other traces arrived", async () => {
    await using receiver = await startReceiver({ grpc: false });
    await send(receiver, TRACE_A, "1");

    const waiting = receiver.waitForTrace(TRACE_B, { quietMs: 5, timeoutMs: 20 });

    await expect(waiting).rejects.toThrow(/nothing arrived of this trace, but 1 spans of others/);
  });

  test("waits for a number of spans or traces", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const three = receiver.waitForQuiet({ atLeast: 3, quietMs: 10 });
    const two = receiver.waitForQuiet({ traces: 2, quietMs: 10 });

    await send(receiver, TRACE_A, "1");
    await send(receiver, TRACE_A, "2");
    await send(receiver, TRACE_B, "3");

    expect(await three).toHaveLength(3);
    expect(await two).toHaveLength(3);
  });

  test("with nothing to wait for, quiet alone is enough", async () => {
    await using receiver = await startReceiver({ grpc: false });

    expect(await receiver.waitForQuiet({ atLeast: 0, quietMs: 10 })).toEqual([]);
    await expect(receiver.waitForQuiet({ quietMs: 5, timeoutMs: 20 })).rejects.toThrow(
      /0 of at least 1 spans\s+nothing arrived at all/,
    );
  });

  test("ends early when `enough` says that no more will come", async () => {
    await using receiver = await startReceiver({ grpc: false });
    await send(receiver, TRACE_A, "1");
    const enough = vi.fn((spans: readonly Span[]) => spans.length > 0);

    const spans = await receiver.waitForQuiet({ services: ["never"], quietMs: 10, enough });

    expect(spans).toHaveLength(1);
    expect(enough).toHaveBeenCalledOnce();
  });

  test("calls `enough` again when spans of other traces arrive", async () => {
    await using receiver = await startReceiver({ grpc: false });
    await send(receiver, TRACE_A, "1");
    let asked = (): void => undefined;
    const first = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const enough = (spans: readonly Span[]): boolean => {
      asked();
      return spans.length === 2;
    };
    const waiting = receiver.waitForTrace(TRACE_A, { services: ["never"], quietMs: 10, enough });
    await first;

    await send(receiver, TRACE_B, "2");

    expect(await waiting).toHaveLength(1);
  });

  test("an error of `enough` fails the wait", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const enough = () => {
      throw new Error("my test's mistake");
    };

    const waiting = receiver.waitForQuiet({ quietMs: 5, enough });

    await expect(waiting).rejects.toThrow("my test's mistake");
  });

  test("says so when everything arrived but spans keep arriving", async () => {
    await using receiver = await startReceiver({ grpc: false });
    let isOver = false;
    const waiting = receiver
      .waitForQuiet({ quietMs: 5000, timeoutMs: 500 })
      .catch((reason: unknown) => String(reason))
      .finally(() => {
        isOver = true;
      });

    for (let index = 1; !isOver; index += 1) await send(receiver, TRACE_A, String(index));

    expect(await waiting).toContain("spans kept arriving");
  });

  test("closing the receiver ends every wait at once", async () => {
    const receiver = await startReceiver({ grpc: false });
    const waiting = receiver.waitForQuiet({ services: ["orders"], timeoutMs: 60_000 });
    const checked = expect(waiting).rejects.toThrow(/the receiver was closed, missing/);

    await receiver.close();

    await checked;
    await expect(receiver.waitForQuiet()).rejects.toThrow(/closed/);
    expect(await receiver.waitForQuiet({ atLeast: 0 })).toEqual([]);
  });
});

/** A receiver that has been closed: its port is free. */
async function closed(): Promise<OtlpReceiver> {
  await using receiver = await startReceiver({ grpc: false });
  return receiver;
}

async function send(
  receiver: OtlpReceiver,
  traceId: string,
  id: string,
  service = "shop",
): Promise<number> {
  const body = jsonRequest({ traceId, spanId: id.padStart(16, "0"), name: "work" });
  const response = await fetch(`${receiver.httpUrl}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: body.toString().replace('"shop"', JSON.stringify(service)),
  });
  return response.status;
}

function services(spans: readonly Span[]): string[] {
  return spans.map((span) => span.service);
}
