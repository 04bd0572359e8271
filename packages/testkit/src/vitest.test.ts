import { describe, expect, test } from "vitest";
import "./vitest.js";
import { startReceiver } from "@traceferry/traces/receiver";
import { exportTo, grpc, SpanFactory } from "../../traces/src/span-factory.test-support.js";

const PLACE_ORDER = grpc("shop.v1.Orders/Place");
const PATH = ["gateway", "orders"];

describe("toHaveUnbrokenTrace", () => {
  test("evaluates spans", async () => {
    const { spans } = whole();

    await expect(spans).toHaveUnbrokenTrace({ path: PATH });
    await expect(spans).not.toHaveUnbrokenTrace({ path: ["gateway", "mails"] });
  });

  test("fails with the verdict and the waterfall", async () => {
    const { spans } = broken();

    const failure = expect(spans).toHaveUnbrokenTrace({ path: PATH });

    await expect(failure).rejects.toThrow(/gateway → orders \(grpc .*\) is NOT_INJECTED/);
    await expect(failure).rejects.toThrow(/✗ gateway → orders/);
  });

  test("fails with what arrived when it should not have been whole", async () => {
    const failure = expect(whole().spans).not.toHaveUnbrokenTrace({ path: PATH });

    await expect(failure).rejects.toThrow(/expected anything but one unbroken trace/);
  });

  test("waits for the services of the expectation, in whichever order they export", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const { spans } = whole();
    const evaluated = expect(receiver).toHaveUnbrokenTrace({ path: PATH, quietMs: 20 });

    for (const service of PATH.toReversed()) {
      await exportTo(receiver.httpUrl, ...spans.filter((span) => span.service === service));
    }

    await evaluated;
  });

  test("names a service that never exports", async () => {
    await using receiver = await startReceiver({ grpc: false });
    for (const span of whole().spans) await exportTo(receiver.httpUrl, span);

    const failure = expect(receiver).toHaveUnbrokenTrace({
      path: [...PATH, "mails"],
      quietMs: 5,
      timeoutMs: 50,
    });

    await expect(failure).rejects.toThrow(/no span of mails arrived/);
    await expect(failure).rejects.toThrow(
      /gave up after 50 ms, missing:\s+- no span of service "mails"/,
    );
  });

  test("does not wait for the rest of a trace that is broken for good", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const { spans } = broken();
    for (const span of spans) await exportTo(receiver.httpUrl, span);
    const failure = expect(receiver).toHaveUnbrokenTrace({
      traceId: spans[0]?.traceId ?? "",
      path: PATH,
      quietMs: 10,
      timeoutMs: 60_000,
    });

    await expect(failure).rejects.toThrow(/is NOT_INJECTED/);
  });

  test("waits for as many traces as are expected", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const evaluated = expect(receiver).toHaveUnbrokenTrace({ path: PATH, traces: 3, quietMs: 20 });

    const spanFactory = new SpanFactory();
    for (let index = 0; index < 3; index += 1) {
      const root = spanFactory.root({ service: "gateway", at: index * 30 });
      await exportTo(receiver.httpUrl, root, ...spanFactory.hop(root, "orders", PLACE_ORDER));
    }

    await evaluated;
  });

  test("refuses what is neither a receiver nor spans", async () => {
    await expect(expect("spans").toHaveUnbrokenTrace()).rejects.toThrow(TypeError);
    await expect(expect([1]).toHaveUnbrokenTrace()).rejects.toThrow(TypeError);
  });
});

function whole(): SpanFactory {
  const spanFactory = new SpanFactory();
  spanFactory.hop(spanFactory.root({ service: "gateway" }), "orders", PLACE_ORDER);
  return spanFactory;
}

function broken(): SpanFactory {
  const spanFactory = new SpanFactory();
  spanFactory.lostHop(spanFactory.root({ service: "gateway" }), "orders", PLACE_ORDER);
  return spanFactory;
}
