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

export const HEADERS = {
  traceparent: TRACEPARENT,
  tracestate: "rojo=1",
  baggage: "tenant.id=acme,user.id=7",
};
export const strict = w3cPropagator();
export const boom = (): never => {
  throw new Error("on purpose");
};

/** An instrumenter with the strict propagator, and the meter provider that it counts with. */
export function createInstrumenter(options: TracingOptions<unknown> = {}, settings = SETTINGS) {
  const metrics = new CountingMeterProvider();
  const instrumenter = new Instrumenter(settings, {
    propagator: strict,
    meterProvider: metrics,
    ...options,
  });
  return { instrumenter, metrics };
}

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

/** What goes out in a context. */
export function injectFrom(from: Context, options?: TracingOptions<unknown>) {
  const { instrumenter, metrics } = createInstrumenter(options);
  const injection = instrumenter.inject(from);
  return {
    fields: injection && Object.fromEntries(injection.fields),
    injections: metrics.of("injections"),
    faults: metrics.of("faults"),
  };
}

/** Something else goes on in the process: a span and a baggage are active. */
export function ambient(
  kind = SpanKind.INTERNAL,
  parent = ROOT_CONTEXT,
): { active: Context; span: Span } {
  const span = trace.getTracer("somebody else").startSpan("ambient", { kind }, parent);
  const baggage = propagation.createBaggage({ ambient: { value: "1" } });
  return { span, active: propagation.setBaggage(trace.setSpan(parent, span), baggage) };
}
