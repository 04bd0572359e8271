import {
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import {
  CountingMeterProvider,
  type Headers,
  SETTINGS,
  sanitizingGetter,
  TRACEPARENT,
} from "./fixtures.test-support.js";
import { Instrumenter } from "./instrumenter.js";
import type { TracingOptions } from "./options.js";
import { w3cPropagator } from "./w3c/index.js";

/** The headers of a message with a sender. */
export const HEADERS = {
  traceparent: TRACEPARENT,
  tracestate: "rojo=1",
  baggage: "tenant.id=acme,user.id=7",
};
/** The strict propagator, used by default. */
export const strictPropagator = w3cPropagator();
/** Throws. */
export const boom = (): never => {
  throw new Error("on purpose");
};

/** An instrumenter with the strict propagator, and the meter provider that it counts with. */
export function createInstrumenter(options: TracingOptions<unknown> = {}, settings = SETTINGS) {
  const metrics = new CountingMeterProvider();
  const instrumenter = new Instrumenter(settings, {
    propagator: strictPropagator,
    meterProvider: metrics,
    ...options,
  });
  return { instrumenter, metrics };
}

/** Extracts from headers, which are the message too, and returns what was counted. */
export function extractFrom(
  headers: Headers,
  options?: TracingOptions<unknown>,
  active = ROOT_CONTEXT,
) {
  const { instrumenter, metrics } = createInstrumenter(options);
  const extraction = instrumenter.extract(headers, sanitizingGetter, headers, active);
  return {
    extraction,
    instrumenter,
    extractions: metrics.of("extractions"),
    faults: metrics.of("faults"),
  };
}

/** Injects a context, and returns the fields and what was counted. */
export function injectFrom(from: Context, options?: TracingOptions<unknown>) {
  const { instrumenter, metrics } = createInstrumenter(options);
  const injection = instrumenter.inject(from);
  return {
    fields: injection && Object.fromEntries(injection.fields),
    injections: metrics.of("injections"),
    faults: metrics.of("faults"),
  };
}

/** A context of other work in the process, with a span and baggage. */
export function ambient(
  kind = SpanKind.INTERNAL,
  parent = ROOT_CONTEXT,
): { active: Context; span: Span } {
  const span = trace.getTracer("somebody else").startSpan("ambient", { kind }, parent);
  const baggage = propagation.createBaggage({ ambient: { value: "1" } });
  return { span, active: propagation.setBaggage(trace.setSpan(parent, span), baggage) };
}
