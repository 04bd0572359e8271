import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import { SpanKind, trace as traceOfBullMQ, withDetachedContext } from "bullmq";
import { describe, expect, test } from "vitest";
import { addJob, processJob, runInternalOperation } from "../bullmq.test-support.js";
import { bullmqTelemetry } from "../index.js";

function storedJob(metadata: unknown) {
  return { id: "7", data: "{}", opts: JSON.stringify({ tm: metadata }) };
}

function validMetadata(): string {
  return JSON.stringify(Object.fromEntries(sender().headers));
}

describe("spans", () => {
  test("show samplers their name, queue and operation", async () => {
    const seen: unknown[] = [];
    using _ = recordSpans({
      sampler: {
        shouldSample(_context, _traceId, name, _kind, attributes) {
          seen.push([
            name,
            attributes["messaging.destination.name"],
            attributes["messaging.operation.name"],
          ]);
          return { decision: 2 };
        },
        toString: () => "recording sampler",
      },
    });

    await processJob(bullmqTelemetry(), await addJob(bullmqTelemetry(), {}), () => undefined);

    expect(seen).toEqual([
      ["add orders", "orders", "add"],
      ["process orders", "orders", "process"],
    ]);
  });

  test("of jobs that are added belong to the context that BullMQ names, and else to the active one", () => {
    using spans = recordSpans();
    const { tracer } = bullmqTelemetry();
    const caller = spans.tracer().startSpan("request");
    const within = trace.setSpan(ROOT_CONTEXT, caller);

    const named = tracer.startSpan("addBulk named", { kind: SpanKind.PRODUCER });
    named.setSpanOnContext(within);
    named.end();
    const unnamed = tracer.startSpan("addBulk unnamed", { kind: SpanKind.PRODUCER });
    context.with(within, () => unnamed.end());
    caller.end();

    const { spanId } = caller.spanContext();
    expect(spans.named("addBulk named").parentSpanId).toBe(spanId);
    expect(spans.named("addBulk unnamed").parentSpanId).toBe(spanId);
  });

  test("of a job that is refused have the type of the error", async () => {
    using spans = recordSpans();

    await expect(addJob(bullmqTelemetry(), {}, { jobId: "0" })).rejects.toThrow(RangeError);

    const message = "JobId cannot be '0' or start with '0:'";
    expect(spans.named("add orders")).toMatchObject({
      status: { code: "ERROR", message },
      attributes: { "error.type": "RangeError" },
      events: [{ name: "exception", attributes: { "exception.message": message } }],
    });
  });

  test("of both sides have the id of the job, and a child links its parent", async () => {
    using spans = recordSpans();
    const telemetry = bullmqTelemetry();

    const job = await addJob(telemetry, {});
    await processJob(telemetry, job, () => undefined);

    const [sent, processed] = [spans.named("add orders"), spans.named("process orders")];
    expect(sent.attributes["messaging.message.id"]).toBe(job.id);
    expect(processed.attributes["messaging.message.id"]).toBe(job.id);
    expect(processed).toMatchObject({
      traceId: sent.traceId,
      parentSpanId: sent.spanId,
      links: [{ traceId: sent.traceId, spanId: sent.spanId }],
    });
  });
});

describe("the status of a processed job's span", () => {
  async function statusAfter(act: (span: BullMQSpan) => void) {
    using spans = recordSpans();
    await traceOfBullMQ(
      bullmqTelemetry(),
      SpanKind.CONSUMER,
      "orders",
      "process",
      "orders",
      (span) => span && act(span),
    );
    const { status, attributes } = spans.named("process orders");
    return { ...status, type: attributes["error.type"] };
  }
  type BullMQSpan = NonNullable<Parameters<Parameters<typeof traceOfBullMQ>[5]>[0]>;

  test("is unset when a call to Redis was repeated and the job completed", async () => {
    const status = await statusAfter((span) => {
      span.recordException("Connection is closed.");
      span.addEvent("job completed", {});
    });
    expect(status).toEqual({ code: "UNSET", type: undefined });
  });

  test("is an error when the lock was lost, so that the job neither completed nor failed", async () => {
    const status = await statusAfter((span) => span.recordException("Missing lock for job 7."));
    expect(status).toEqual({ code: "ERROR", message: "Missing lock for job 7.", type: "_OTHER" });
  });

  test("is an error with BullMQ's reason when the job failed", async () => {
    const status = await statusAfter((span) => {
      span.addEvent("job failed", { "bullmq.job.failed.reason": "out of stock" });
      span.recordException("Connection is closed.");
    });
    expect(status).toEqual({ code: "ERROR", message: "out of stock", type: "_OTHER" });
  });

  test("is an error when BullMQ does not say why the job failed", async () => {
    const failed = { code: "ERROR", message: "", type: "_OTHER" };
    expect(await statusAfter((span) => span.addEvent("job failed"))).toEqual(failed);
    expect(
      await statusAfter((span) =>
        span.addEvent("job failed", Object({ "bullmq.job.failed.reason": undefined })),
      ),
    ).toEqual(failed);
  });

  test("is unset after an event that says neither that the job completed nor that it failed", async () => {
    const status = await statusAfter((span) => span.addEvent("job stalled"));
    expect(status).toEqual({ code: "UNSET", type: undefined });
  });

  test("is unset when the job was delayed, rate limited or waits for its children", async () => {
    expect(await statusAfter(() => undefined)).toEqual({ code: "UNSET", type: undefined });
  });
});

describe("an internal operation of BullMQ (locks, stalled checks)", () => {
  test("makes no span, nor do the calls inside it", async () => {
    using spans = recordSpans();

    await runInternalOperation(bullmqTelemetry(), "extendLocks", () =>
      spans.tracer().startSpan("evalsha").end(),
    );

    expect(spans.ended).toEqual([]);
  });

  test("that never ends is detached from the context that was active at its start", () => {
    using spans = recordSpans();
    const caller = spans.tracer().startSpan("request");

    const seen = context.with(trace.setSpan(ROOT_CONTEXT, caller), () =>
      withDetachedContext(bullmqTelemetry(), () => context.active()),
    );
    caller.end();

    expect(seen).toBe(ROOT_CONTEXT);
  });

  test("on a failed attempt stores the context of that attempt's span", async () => {
    using spans = recordSpans();

    const { retryMetadata } = await processJob(
      bullmqTelemetry(),
      storedJob(validMetadata()),
      () => {
        throw new RangeError("out of stock");
      },
    );

    expect(spans.ended).toHaveLength(1);
    const { traceId, spanId } = spans.named("process orders");
    expect(JSON.parse(retryMetadata ?? "{}")).toMatchObject({
      traceparent: `00-${traceId}-${spanId}-01`,
    });
  });

  test("does not suppress the spans of jobs that are added inside it", async () => {
    using spans = recordSpans();
    const telemetry = bullmqTelemetry();
    const caller = spans.tracer().startSpan("close shop");

    await context.with(trace.setSpan(ROOT_CONTEXT, caller), () =>
      runInternalOperation(telemetry, "pause", () =>
        runInternalOperation(telemetry, "close", () => addJob(telemetry, {})),
      ),
    );
    caller.end();

    expect(spans.named("add orders").parentSpanId).toBe(spans.named("close shop").spanId);
  });
});

test("there is no meter, so BullMQ asks for none", () => {
  expect(bullmqTelemetry().meter).toBeUndefined();
});

test("a wrong option is refused at set-up", () => {
  // @ts-expect-error: for those without a compiler
  expect(() => bullmqTelemetry({ relation: "sibling" })).toThrow(
    /option "relation" must be .* 'sibling'/,
  );
});
