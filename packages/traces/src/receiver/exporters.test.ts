import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from "@opentelemetry/api";
import type { ExportResult } from "@opentelemetry/core";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { type ReadableSpan, type SpanExporter, TracerProvider } from "@opentelemetry/sdk-trace";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type OtlpReceiver, startReceiver } from "./index.js";

const exporters: Readonly<Record<string, (receiver: OtlpReceiver) => SpanExporter>> = {
  "http/protobuf": ({ httpUrl }) => new ProtoExporter({ url: `${httpUrl}/v1/traces` }),
  "http/json": ({ httpUrl }) => new JsonExporter({ url: `${httpUrl}/v1/traces` }),
  grpc: ({ grpcUrl }) => new GrpcExporter({ url: grpcUrl ?? "" }),
};

const ENCODINGS = ["none", "gzip"].flatMap((compression) =>
  Object.keys(exporters).map((protocol) => ({ protocol, compression })),
);

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("spans of the JavaScript exporters", () => {
  test.each(ENCODINGS)(
    "arrive unchanged over $protocol, compression $compression",
    async ({ protocol, compression }) => {
      vi.stubEnv("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
      await using receiver = await startReceiver();
      const exporter = exporters[protocol]?.(receiver);
      const sent = someSpans();

      expect(await exported(exporter, sent)).toEqual({ code: 0 });

      const [child, parent, ...others] = receiver.spans;
      expect(others).toEqual([]);
      expect(parent).toMatchObject({ name: "parent", parentSpanId: undefined, flags: 0x101 });
      expect(child).toEqual({
        traceId: parent?.traceId,
        spanId: sent[0]?.spanContext().spanId,
        parentSpanId: parent?.spanId,
        name: "söme child",
        kind: "PRODUCER",
        service: "shop",
        instance: "shop-1",
        startNs: 1_767_225_600_123_456_789n,
        endNs: 1_767_225_600_223_456_789n,
        attributes: {
          text: "ü",
          yes: true,
          integer: 42,
          negative: -7,
          fraction: 1.5,
          list: ["a", "b"],
          empty: [],
        },
        events: [
          {
            name: "happened",
            timeNs: 1_767_225_600_150_000_000n,
            attributes: { why: "because" },
          },
        ],
        links: [
          {
            traceId: "0af7651916cd43dd8448eb211c80319c",
            spanId: "b7ad6b7169203331",
            traceState: "",
            attributes: { "link.kind": "batch" },
            flags: 0x301,
          },
        ],
        status: { code: "ERROR", message: "broke" },
        flags: 0x101,
        traceState: "",
        scope: { name: "test-scope", version: "1.2.3" },
        resource: expect.objectContaining({
          "service.name": "shop",
          "service.instance.id": "shop-1",
        }),
        receivedAtMs: expect.any(Number),
      });
      await exporter?.shutdown();
    },
  );

  test("tell a remote parent by their flags", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const remote = {
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      traceFlags: TraceFlags.SAMPLED,
      isRemote: true,
    };
    const { tracer, ended } = recorder();
    tracer
      .startSpan("entry", { kind: SpanKind.SERVER }, trace.setSpanContext(ROOT_CONTEXT, remote))
      .end();
    const exporter = new ProtoExporter({ url: `${receiver.httpUrl}/v1/traces` });

    await exported(exporter, ended);

    expect(receiver.spans).toMatchObject([
      { traceId: remote.traceId, parentSpanId: remote.spanId, kind: "SERVER", flags: 0x301 },
    ]);
    await exporter.shutdown();
  });
});

// A hand-written processor, because SDK 2 and 3 construct theirs in different ways.
function recorder() {
  const ended: ReadableSpan[] = [];
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "shop", "service.instance.id": "shop-1" }),
    spanProcessors: [
      {
        onStart: () => undefined,
        onEnd: (span) => {
          ended.push(span);
        },
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
  });
  return { tracer: provider.getTracer("test-scope", "1.2.3"), ended };
}

function someSpans(): ReadableSpan[] {
  const { tracer, ended } = recorder();
  const parent = tracer.startSpan("parent", {}, ROOT_CONTEXT);
  const child = tracer.startSpan(
    "söme child",
    {
      kind: SpanKind.PRODUCER,
      startTime: [1_767_225_600, 123_456_789],
      attributes: {
        text: "ü",
        yes: true,
        integer: 42,
        negative: -7,
        fraction: 1.5,
        list: ["a", "b"],
        empty: [],
      },
      links: [
        {
          context: {
            traceId: "0af7651916cd43dd8448eb211c80319c",
            spanId: "b7ad6b7169203331",
            traceFlags: TraceFlags.SAMPLED,
            isRemote: true,
          },
          attributes: { "link.kind": "batch" },
        },
      ],
    },
    trace.setSpan(ROOT_CONTEXT, parent),
  );
  child.addEvent("happened", { why: "because" }, [1_767_225_600, 150_000_000]);
  child.setStatus({ code: SpanStatusCode.ERROR, message: "broke" });
  child.end([1_767_225_600, 223_456_789]);
  parent.end();
  return ended;
}

function exported(
  exporter: SpanExporter | undefined,
  spans: ReadableSpan[],
): Promise<ExportResult> {
  return new Promise((resolve) => {
    if (exporter === undefined) resolve({ code: 1 });
    else exporter.export(spans, resolve);
  });
}
