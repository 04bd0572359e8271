import {
  type Attributes,
  type Context,
  context,
  createNoopMeter,
  DiagLogLevel,
  diag,
  type MeterProvider,
  type MetricOptions,
  metrics,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  type Tracer,
  type TracerProvider as TracerProviderApi,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { type ReadableSpan, type Sampler, TracerProvider } from "@opentelemetry/sdk-trace";
import { SanitizingGetter } from "./carrier.js";
import type { InstrumenterSettings } from "./instrumenter.js";

/** The trace id of the sender in these tests. */
export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
/** The span id of the sender. */
export const SPAN_ID = "b7ad6b7169203331";
/** The traceparent of the sender: sampled. */
export const TRACEPARENT = `00-${TRACE_ID}-${SPAN_ID}-01`;
/** The span context of the sender, as extracted. */
export const REMOTE = { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true };

/** The settings of a messaging adapter. */
export const SETTINGS: InstrumenterSettings = {
  name: "test",
  scope: "@traceferry/test",
  version: "1.2.3",
  messaging: true,
  maxBytes: 8192,
};

/** Received headers: any value under any name. */
export type Headers = Readonly<Record<string, unknown>>;

/** A sanitizing getter for such headers, with lower-case keys. */
export const sanitizingGetter = new SanitizingGetter<Headers>({
  read: (headers, key) => headers[key],
  keys: (headers) => Object.keys(headers),
});

/** A getter that returns whatever the carrier has. */
export const plainGetter: TextMapGetter<unknown> = {
  get: (carrier, key) => Reflect.get(Object(carrier), key),
  keys: (carrier) => Object.keys(Object(carrier)),
};

const intoMap: TextMapSetter<unknown> = {
  set(carrier, key, value) {
    if (carrier instanceof Map) carrier.set(key, value);
  },
};

/** The propagator of the SDK's own documentation. */
export function stockPropagator(): TextMapPropagator {
  return new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
  });
}

/** The fields that a propagator writes for a context. */
export function injected(propagator: TextMapPropagator, from: Context): Record<string, string> {
  const carrier = new Map<string, string>();
  propagator.inject(from, carrier, intoMap);
  return Object.fromEntries(carrier);
}

/** The fields that a service without a span of its own sends on: extracted by a plain getter, and injected. */
export function relayed(propagator: TextMapPropagator, headers: Headers): Record<string, string> {
  return injected(propagator, propagator.extract(ROOT_CONTEXT, headers, plainGetter));
}

/** The names and values of the baggage, in their order. */
export function baggageEntries(from: Context): [string, string][] {
  const entries = propagation.getBaggage(from)?.getAllEntries() ?? [];
  return entries.map(([name, { value }]) => [name, value]);
}

/** The span context and baggage of a context, as plain values that a failed test can print. */
export function contentsOf(from: Context) {
  const span = trace.getSpanContext(from);
  const baggage = Object.fromEntries(baggageEntries(from));
  return {
    span: span && `${span.traceId}-${span.spanId}-${span.traceFlags}`,
    tracestate: span?.traceState?.serialize(),
    baggage,
  };
}

/** A real SDK, registered on the API until its `using` block is left. */
export interface Recording extends Disposable {
  readonly ended: readonly ReadableSpan[];
  /** Names of the spans that have started and not ended. */
  readonly open: readonly string[];
  readonly warnings: readonly string[];
  readonly tracer: Tracer;
  readonly provider: TracerProviderApi;
}

/**
 * Registers a real SDK.
 *
 * @param options.provider - false: the tracer provider is made, and not registered
 * @param options.propagator - default: none is registered
 */
export function recordSpans(
  options: { sampler?: Sampler; provider?: boolean; propagator?: TextMapPropagator } = {},
): Recording {
  const ended: ReadableSpan[] = [];
  const open = new Map<string, string>();
  const warnings: string[] = [];
  // A processor of our own, because it also knows the spans that have not ended.
  const processor = {
    onStart: (span: ReadableSpan) => void open.set(span.spanContext().spanId, span.name),
    onEnd(span: ReadableSpan) {
      open.delete(span.spanContext().spanId);
      ended.push(span);
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
  const provider = new TracerProvider({
    spanProcessors: [processor],
    ...(options.sampler && { sampler: options.sampler }),
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  if (options.provider !== false) trace.setGlobalTracerProvider(provider);
  if (options.propagator) propagation.setGlobalPropagator(options.propagator);
  const release = collectWarnings(warnings);
  return {
    ended,
    get open() {
      return [...open.values()];
    },
    warnings,
    tracer: trace.getTracer("application"),
    provider,
    [Symbol.dispose]() {
      release();
      context.disable();
      trace.disable();
      propagation.disable();
    },
  };
}

/** Collects warnings in the list, until the returned function is called. */
export function collectWarnings(into: string[]): () => void {
  const keep = (message: string): void => void into.push(message);
  const drop = (): void => {};
  diag.setLogger(
    { error: keep, warn: keep, info: drop, debug: drop, verbose: drop },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  return () => diag.disable();
}

/** A meter provider that records what is counted. */
export class CountingMeterProvider implements MeterProvider {
  readonly counted: { name: string; value: number; attributes: Attributes | undefined }[] = [];
  readonly meters: string[] = [];
  readonly instruments: { name: string; unit?: string; description?: string }[] = [];

  getMeter(name: string, version?: string) {
    this.meters.push(`${name} ${version}`);
    const createCounter = (counter: string, options?: MetricOptions) => {
      this.instruments.push({ name: counter, ...options });
      return {
        add: (value: number, attributes?: Attributes) => {
          this.counted.push({ name: counter, value, attributes });
        },
      };
    };
    return Object.create(createNoopMeter(), { createCounter: { value: createCounter } });
  }

  /** The attributes of what one counter counted; its name is given without the prefix. */
  of(name: "extractions" | "injections" | "faults"): (Attributes | undefined)[] {
    return this.counted
      .filter((one) => one.name === `traceferry.${name}`)
      .map((one) => one.attributes);
  }

  /** Registered on the API until the `using` block is left. */
  registered(): Disposable {
    metrics.setGlobalMeterProvider(this);
    return { [Symbol.dispose]: () => metrics.disable() };
  }
}

/** The time limit of tests that do much work, on a busy machine. */
export const SLOW_TEST = { timeout: 60_000 };
