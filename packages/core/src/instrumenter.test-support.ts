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
  hygienic,
  SETTINGS,
  TRACEPARENT,
} from "./fixtures.test-support.js";
import { Instrumenter } from "./instrumenter.js";
import type { TracingOptions } from "./options.js";
import { w3cPropagator } from "./w3c/index.js";

export const ALL = {
  traceparent: TRACEPARENT,
  tracestate: "rojo=1",
  baggage: "tenant.id=acme,user.id=7",
};
export const strict = w3cPropagator();
export const boom = (): never => {
  throw new Error("on purpose");
};

/** A boundary with the strict propagator, and what it counts. */
export function boundaryWith(options: TracingOptions<unknown> = {}, settings = SETTINGS) {
  const counted = new CountingMeterProvider();
  const boundary = new Instrumenter(settings, {
    propagator: strict,
    meterProvider: counted,
    ...options,
  });
  return { boundary, counted };
}

export function receive(
  headers: Headers,
  options?: TracingOptions<unknown>,
  active = ROOT_CONTEXT,
) {
  const { boundary, counted } = boundaryWith(options);
  const arrival = boundary.extract(headers, hygienic, headers, active);
  return {
    arrival,
    boundary,
    extractions: counted.of("extractions"),
    faults: counted.of("faults"),
  };
}

/** What goes out in a context. */
export function sent(from: Context, options?: TracingOptions<unknown>) {
  const { boundary, counted } = boundaryWith(options);
  const injection = boundary.inject(from);
  return {
    fields: injection && Object.fromEntries(injection.fields),
    injections: counted.of("injections"),
    faults: counted.of("faults"),
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
