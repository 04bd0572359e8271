import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit/contract";
import { recordSpans } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { extractJobContext } from "./index.js";

test("the context of a job is read from its options", () => {
  using _ = recordSpans();
  const from = sender();
  const job = {
    opts: { telemetry: { metadata: JSON.stringify(Object.fromEntries(from.headers)) } },
  };

  const found = extractJobContext(job);

  expect(trace.getSpanContext(found)).toMatchObject({
    traceId: from.traceId,
    spanId: from.spanId,
    isRemote: true,
  });
  expect(propagation.getBaggage(found)?.getEntry("tenant.id")?.value).toBe("acme");
});

test("a job without a context never continues what is active", () => {
  using spans = recordSpans();
  const span = spans.tracer().startSpan("ambient");
  const active = trace.setSpan(ROOT_CONTEXT, span);

  context.with(active, () => {
    expect(extractJobContext({ opts: {} })).toBe(ROOT_CONTEXT);
    expect(trace.getSpan(extractJobContext({ opts: { tm: "zz" } }, active))).toBeUndefined();
  });
  span.end();
});

test("within the span of a job its context is still the sender's, and not that span", () => {
  using spans = recordSpans();
  const from = sender();
  const opts = { tm: JSON.stringify(Object.fromEntries(from.headers)) };
  const remote = extractJobContext({ opts });
  const span = spans.tracer().startSpan("process orders", { kind: SpanKind.CONSUMER }, remote);

  const found = extractJobContext({ opts }, trace.setSpan(ROOT_CONTEXT, span));
  span.end();

  expect(trace.getSpanContext(found)?.spanId).toBe(from.spanId);
});
