import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { Boundary, HygienicGetter, w3cPropagator, withSpan } from "./index.js";

const getter = new HygienicGetter<Record<string, unknown>>({
  read: (carrier, key) => carrier[key],
  keys: (carrier) => Object.keys(carrier),
});
const settings = {
  name: "test",
  scope: "@traceferry/test",
  version: "0",
  messaging: true,
  maxBytes: 8192,
};

test("a valid sender is continued and sent on with its tracestate and baggage", () => {
  const boundary = new Boundary(settings, { propagator: w3cPropagator() });
  const arrival = boundary.receive(
    {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
      tracestate: "a=1 , b=2",
      baggage: "k=v;p=1, x=%20",
    },
    getter,
    undefined,
    ROOT_CONTEXT,
  );
  expect(arrival.sender?.spanId).toBe("b7ad6b7169203331");
  const out = boundary.inject(arrival.parent);
  expect(Object.fromEntries(out?.fields ?? [])).toEqual({
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
    tracestate: "a=1,b=2",
    baggage: "k=v;p=1,x=%20",
  });
  const open = boundary.open(
    { name: "x", kind: SpanKind.INTERNAL, parent: arrival.parent },
    arrival,
  );
  expect(withSpan(open, () => 42)).toBe(42);
  expect(context.active()).toBe(ROOT_CONTEXT);
  expect(propagation.getBaggage(arrival.parent)?.getEntry("x")?.value).toBe(" ");
  expect(trace.getSpan(ROOT_CONTEXT)).toBeUndefined();
});
