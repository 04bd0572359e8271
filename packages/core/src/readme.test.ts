import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { traceHandler, traceSender } from "./example-adapter.test-support.js";
import { recordSpans, TRACE_ID, TRACEPARENT } from "./fixtures.test-support.js";
import { w3cPropagator } from "./w3c/index.js";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

test("the adapter in the README is the one that is tested here", () => {
  expect(read("../README.md")).toContain(read("./example-adapter.test-support.ts"));
});

test("the adapter in the README continues a trace, in copies of the messages, without stale fields", () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const delivered: unknown[] = [];
  const send = traceSender((message) => delivered.push(message));
  const reply = Object.freeze({
    headers: Object.freeze({ Baggage: "stale=1", TraceParent: "stale", subject: "order 1042" }),
    body: "accepted",
  });
  const handle = traceHandler(() => void send(reply));

  handle({ headers: { TraceParent: TRACEPARENT, TraceState: "rojo=1" }, body: "order 1042" });

  const [sent, processed] = spans.ended;
  expect(spans.ended.map((span) => span.name)).toEqual(["send orders", "process orders"]);
  expect(sent?.parentSpanContext?.spanId).toBe(processed?.spanContext().spanId);
  const traceparent = `00-${TRACE_ID}-${sent?.spanContext().spanId}-01`;
  expect(delivered).toEqual([
    { headers: { subject: "order 1042", traceparent, tracestate: "rojo=1" }, body: "accepted" },
  ]);
});

test("the adapter in the README passes messages on unchanged where nothing is registered", () => {
  const delivered: unknown[] = [];
  const message = { headers: { traceparent: "the caller's" }, body: "order 1042" };
  traceHandler(traceSender((one) => delivered.push(one)))(message);
  expect(delivered[0]).toBe(message);
});

test("the README names every option, outcome and reason", () => {
  const words = [
    ...["tracerProvider", "meterProvider", "propagator", "relation", "baggage", "maxBytes"],
    ...["continued", "linked", "ignored", "missing", "invalid", "injected", "trimmed", "empty"],
    ...["repeated", "version", "format", "zero_id", "too_long", "tracestate_invalid"],
    ...["untrusted", "no_propagator", "failed", "randomFlag"],
  ];
  const readme = read("../README.md");
  expect(words.filter((word) => !readme.includes(`\`${word}\``))).toEqual([]);
});
