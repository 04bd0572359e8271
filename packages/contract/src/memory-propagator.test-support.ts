import {
  type BaggageEntry,
  type Context,
  createContextKey,
  createTraceState,
  isSpanContextValid,
  propagation,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";

const RANDOM_FLAG = createContextKey("@traceferry/contract random flag");
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x20-\x7e]*)?$/;
const TRACESTATE =
  /^[a-z0-9@*/_-]+=[\x20-\x2b\x2d-\x3c\x3e-\x7e]+(,[a-z0-9@*/_-]+=[\x20-\x2b\x2d-\x3c\x3e-\x7e]+){0,31}$/;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** Makes a W3C propagator, as strict as the contract asks for and no more complete than it needs. */
export function strictPropagator(): TextMapPropagator {
  return {
    fields: () => ["traceparent", "tracestate", "baggage"],
    inject(active, carrier, setter) {
      const span = trace.getSpanContext(active);
      if (span === undefined || !isSpanContextValid(span)) return;
      const flags = (span.traceFlags & 1) | Number(active.getValue(RANDOM_FLAG) ?? 0);
      setter.set(carrier, "traceparent", `00-${span.traceId}-${span.spanId}-0${flags}`);
      const state = span.traceState?.serialize();
      if (state) setter.set(carrier, "tracestate", state);
      const baggage = serialize(propagation.getBaggage(active)?.getAllEntries() ?? []);
      if (baggage) setter.set(carrier, "baggage", baggage);
    },
    extract(base, carrier, getter) {
      const field = (name: string) => [getter.get(carrier, name) ?? []].flat().join(",");
      const withBaggage = extractBaggage(base, field("baggage"));
      const [, version, traceId = "", spanId = "", flags = "", more] =
        TRACEPARENT.exec(field("traceparent")) ?? [];
      if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) {
        return withBaggage;
      }
      const bits = Number.parseInt(flags, 16);
      const span = { traceId, spanId, traceFlags: bits & 1, isRemote: true };
      if (!isSpanContextValid(span) || field("traceparent").length > 512) return withBaggage;
      const state = field("tracestate");
      const traceState = TRACESTATE.test(state) ? { traceState: createTraceState(state) } : {};
      const flagged = withBaggage.setValue(RANDOM_FLAG, bits & 2);
      return trace.setSpanContext(flagged, { ...span, ...traceState });
    },
  };
}

function extractBaggage(base: Context, field: string): Context {
  if (field === "" || field.length > 8192) return base;
  const entries: [string, BaggageEntry][] = [];
  for (const member of field.split(",").slice(0, 64)) {
    const [pair = ""] = member.split(";");
    const at = pair.indexOf("=");
    const name = pair.slice(0, at).trim();
    if (at > 0 && TOKEN.test(name)) entries.push([name, { value: decode(pair.slice(at + 1)) }]);
  }
  if (entries.length === 0) return base;
  return propagation.setBaggage(base, propagation.createBaggage(Object.fromEntries(entries)));
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value.trim());
  } catch {
    return value.trim();
  }
}

function serialize(entries: [string, BaggageEntry][]): string {
  return entries.map(([name, { value }]) => `${name}=${encodeURIComponent(value)}`).join(",");
}
