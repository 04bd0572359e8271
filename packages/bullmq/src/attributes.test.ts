import { ROOT_CONTEXT, type Tracer } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import { SpanKind, trace as traceOfBullMQ } from "bullmq";
import { describe, expect, test } from "vitest";
import { processJob } from "./bullmq.test-support.js";
import { bullmqTelemetry } from "./index.js";

describe("spans of BullMQ's operations", () => {
  test.each([
    ["add", "orders.place", "add orders", "PRODUCER", "send"],
    ["addBulk", "orders", "addBulk orders", "PRODUCER", "send"],
    ["addNode", "orders", "addNode orders", "PRODUCER", "create"],
    ["addFlow", "orders", "addFlow orders", "CLIENT", "send"],
    ["addBulkFlows", "orders", "addBulkFlows orders", "CLIENT", "send"],
    ["retryJobs", "orders", "retryJobs orders", "CLIENT", undefined],
    ["addSomethingNew", "orders", "addSomethingNew orders", "PRODUCER", "send"],
  ])("of %s are named after operation and queue", async (operation, destination, ...expected) => {
    using spans = recordSpans();
    const telemetry = bullmqTelemetry();

    await traceOfBullMQ(telemetry, SpanKind.PRODUCER, "orders", operation, destination, () => 1);

    const [span] = spans.ended;
    expect([span?.name, span?.kind, span?.attributes["messaging.operation.type"]]).toEqual(
      expected,
    );
    expect(span?.attributes).toMatchObject({
      "messaging.system.name": "bullmq",
      "messaging.operation.name": operation,
      "messaging.destination.name": "orders",
    });
  });

  test("of a flow's nodes are named after the queue, though BullMQ 5.34 gives the job's name as queue", async () => {
    using spans = recordSpans();
    await traceOfBullMQ(bullmqTelemetry(), SpanKind.PRODUCER, "pack", "addNode", "orders", () => 1);
    expect(spans.named("addNode orders").attributes["messaging.destination.name"]).toBe("orders");
  });

  test("of a flow of many queues name no queue", async () => {
    using spans = recordSpans();
    await traceOfBullMQ(bullmqTelemetry(), SpanKind.PRODUCER, "", "addBulkFlows", "", () => 1);
    expect(spans.named("addBulkFlows").attributes).not.toHaveProperty("messaging.destination.name");
  });

  test("of a queue with a blank in its name have all of it", async () => {
    using spans = recordSpans();
    await traceOfBullMQ(
      bullmqTelemetry(),
      SpanKind.CONSUMER,
      "my orders",
      "process",
      "my orders",
      () => 1,
    );
    expect(spans.named("process my orders").attributes).toMatchObject({
      "messaging.operation.name": "process",
      "messaging.destination.name": "my orders",
    });
  });

  test("of an unknown operation of a worker are those of processing", async () => {
    using spans = recordSpans();
    await traceOfBullMQ(
      bullmqTelemetry(),
      SpanKind.CONSUMER,
      "orders",
      "replay",
      "orders",
      () => 1,
    );
    expect(spans.named("replay orders")).toMatchObject({
      kind: "CONSUMER",
      attributes: { "messaging.operation.type": "process" },
    });
  });

  test("of an add never have the job in their name, not even where BullMQ gives no queue", async () => {
    using spans = recordSpans();
    await traceOfBullMQ(bullmqTelemetry(), SpanKind.PRODUCER, "", "add", "orders.place", () => 1);
    expect(spans.named("add").attributes).not.toHaveProperty("messaging.destination.name");
  });

  test("of an operation without a type in the conventions are started without one", async () => {
    using spans = recordSpans();
    const started: unknown[] = [];
    const tracer: Tracer = {
      startSpan(name, options, from) {
        started.push(Object.keys(options?.attributes ?? {}).sort());
        return spans.tracer().startSpan(name, options, from);
      },
      startActiveSpan: () => expect.fail(),
    };
    const telemetry = bullmqTelemetry({ tracerProvider: { getTracer: () => tracer } });

    await traceOfBullMQ(telemetry, SpanKind.PRODUCER, "orders", "retryJobs", "orders", () => 1);

    expect(started).toEqual([
      ["messaging.destination.name", "messaging.operation.name", "messaging.system.name"],
    ]);
  });
});

describe("attributes that BullMQ sets are on the span", () => {
  test.each([
    ["bullmq.job.id", "7", "messaging.message.id"],
    ["bullmq.job.bulk.count", 2, "messaging.batch.message_count"],
    ["bullmq.worker.id", "w-1", "messaging.client.id"],
    ["bullmq.worker.name", "packer", "bullmq.worker.name"],
    ["bullmq.job.name", "place", "bullmq.job.name"],
    ["bullmq.flow.name", "ship", "bullmq.job.name"],
    ["bullmq.job.attempts.made", 3, "bullmq.job.attempts_made"],
    ["bullmq.job.scheduler.id", "nightly", "bullmq.scheduler.id"],
  ])("%s %j as %s", async (key, value, name) => {
    using spans = recordSpans();

    await traceOfBullMQ(
      bullmqTelemetry(),
      SpanKind.CONSUMER,
      "orders",
      "process",
      "orders",
      (span) => span?.setAttribute(key, value),
    );

    expect(spans.named("process orders").attributes).toEqual({
      "messaging.system.name": "bullmq",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": "orders",
      "traceferry.extraction": "missing",
      [name]: value,
    });
  });

  test.each([
    ["added", SpanKind.PRODUCER],
    ["processed", SpanKind.CONSUMER],
  ])("also those that it sets before the span of a job that is %s is started", (_, kind) => {
    using spans = recordSpans();

    const span = bullmqTelemetry().tracer.startSpan("add orders.place", { kind });
    span.setAttributes({ "bullmq.queue.name": "orders", "bullmq.job.id": "7" });
    span.setAttribute("bullmq.job.name", "place");
    span.setSpanOnContext(ROOT_CONTEXT);
    span.end();

    expect(spans.named("add orders").attributes).toMatchObject({
      "messaging.destination.name": "orders",
      "messaging.message.id": "7",
      "bullmq.job.name": "place",
    });
  });

  test.each<[value: unknown]>([[["a", "b"]], [{ a: 1 }], [true], [""], [null]])(
    "but not where it is %j, which is neither a text nor a number",
    (value) => {
      using spans = recordSpans();

      const span = bullmqTelemetry().tracer.startSpan("process orders", {
        kind: SpanKind.CONSUMER,
      });
      span.setAttributes(Object(JSON.parse(JSON.stringify({ "bullmq.job.name": value }))));
      span.end();

      expect(spans.named("process orders").attributes).not.toHaveProperty(["bullmq.job.name"]);
    },
  );

  test("but no results, no options and no lists of names", async () => {
    using spans = recordSpans();
    const telemetry = bullmqTelemetry();

    await processJob(
      telemetry,
      { id: "7", data: "{}", opts: JSON.stringify({ tm: sender().traceparent }) },
      () => ({ card: "4111 1111 1111 1111" }),
    );
    await traceOfBullMQ(telemetry, SpanKind.PRODUCER, "orders", "addBulk", "orders", (span) => {
      span?.setAttributes({
        "bullmq.job.bulk.names": ["a", "b"],
        "bullmq.job.bulk.count": 2,
        "bullmq.queue.options": "{}",
      });
    });

    expect(JSON.stringify(spans.ended)).not.toContain("4111");
    expect(spans.named("addBulk orders").attributes).toEqual({
      "messaging.system.name": "bullmq",
      "messaging.operation.name": "addBulk",
      "messaging.operation.type": "send",
      "messaging.destination.name": "orders",
      "messaging.batch.message_count": 2,
    });
  });
});
