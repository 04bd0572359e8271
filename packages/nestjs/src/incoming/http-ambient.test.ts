import {
  context,
  createContextKey,
  INVALID_SPAN_CONTEXT,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { describe, expect, test, vi } from "vitest";
import { spanIdAt, startRecording, waitForEnded } from "../recording.test-support.js";
import { platforms, startHttp } from "./http.test-support.js";

describe.each(platforms)(
  "the context that is active when a request comes, on %s",
  (platform, adapter) => {
    test("the span that was active at listen(), and its baggage, never reach a request", async () => {
      using spans = startRecording();
      const ambient = spans.tracer().startSpan("start-up");
      const baggage = propagation.createBaggage({ secret: { value: "yes" } });
      const active = propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, ambient), baggage);
      await using app = await context.with(active, () => startHttp(adapter()));

      await (await fetch(`${app.url}/orders/7`)).json();

      const span = await waitForEnded(spans, 1, ["start-up"]);
      ambient.end();
      expect(span.parentSpanId).toBeUndefined();
      expect(span.traceId).not.toBe(ambient.spanContext().traceId);
      expect(span.attributes["traceferry.extraction"]).toBe("missing");
    });

    test("a request that comes where tracing is suppressed has no span", async () => {
      using spans = startRecording();
      await using app = await context.with(suppressTracing(ROOT_CONTEXT), () =>
        startHttp(adapter()),
      );

      const { traceparent } = sender();
      const response = await fetch(`${app.url}/orders/7`, { headers: { traceparent } });

      expect(await response.json()).toEqual({ id: "7" });
      expect(spanIdAt("handler")).toBeUndefined();
      expect(response.headers.get("x-trace-id")).toBeNull();
      expect(spans.ended).toEqual([]);
    });

    test(`instrumentation-http's span is used, and learns the route of ${platform}`, async () => {
      using spans = startRecording();
      const otherSpan = spans
        .tracer("http")
        .startSpan("GET", { kind: SpanKind.SERVER }, ROOT_CONTEXT);
      const metadata: { type: string; span: typeof otherSpan; route?: string } = {
        type: "http",
        span: otherSpan,
      };
      const key = createContextKey("OpenTelemetry SDK Context Key RPC_METADATA");
      const active = trace.setSpan(ROOT_CONTEXT, otherSpan).setValue(key, metadata);
      // A server that was started inside such a context hands it to each of its requests.
      await using app = await context.with(active, () => startHttp(adapter()));

      const response = await fetch(`${app.url}/orders/7`);
      await response.json();

      await vi.waitFor(() => expect(metadata.route).toBe("/orders/:id"));
      otherSpan.end();
      expect(spanIdAt("handler")).toBe(otherSpan.spanContext().spanId);
      expect(response.headers.get("x-trace-id")).toBe(otherSpan.spanContext().traceId);
      await waitForEnded(spans, 1);
    });

    test.each([
      ["another transport's", { type: "grpc", span: trace.wrapSpanContext(INVALID_SPAN_CONTEXT) }],
      ["HTTP's, without a span", { type: "http" }],
    ])("RPC metadata that is %s does not stop the span", async (_whose, metadata) => {
      using spans = startRecording();
      const key = createContextKey("OpenTelemetry SDK Context Key RPC_METADATA");
      const active = ROOT_CONTEXT.setValue(key, metadata);
      await using app = await context.with(active, () => startHttp(adapter()));

      await (await fetch(`${app.url}/orders/7`)).json();

      const { name, spanId } = await waitForEnded(spans);
      expect(name).toBe("GET /orders/:id");
      expect(spanIdAt("handler")).toBe(spanId);
    });
  },
);
