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

export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
export const SPAN_ID = "b7ad6b7169203331";
export const TRACEPARENT = `00-${TRACE_ID}-${SPAN_ID}-01`;
export const REMOTE = { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true };

/** A boundary as a messaging adapter makes it. */
export const SETTINGS: InstrumenterSettings = {
  name: "test",
  scope: "@traceferry/test",
  version: "1.2.3",
  messaging: true,
  maxBytes: 8192,
};

/** What came over the wire: any value under any name. */
export type Headers = Readonly<Record<string, unknown>>;

export const sanitizingGetter = new SanitizingGetter<Headers>({
  read: (headers, key) => headers[key],
  keys: (headers) => Object.keys(headers),
});

/** A getter as others write it: whatever is there comes out. */
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

/** All that a propagator writes for a context. */
export function injected(propagator: TextMapPropagator, from: Context): Record<string, string> {
  const carrier = new Map<string, string>();
  propagator.inject(from, carrier, intoMap);
  return Object.fromEntries(carrier);
}

/** In by a plain getter, out again: what a service without a span of its own sends on. */
export function relayed(propagator: TextMapPropagator, headers: Headers): Record<string, string> {
  return injected(propagator, propagator.extract(ROOT_CONTEXT, headers, plainGetter));
}

/** Names and values, in their order. */
export function baggageEntries(from: Context): [string, string][] {
  const entries = propagation.getBaggage(from)?.getAllEntries() ?? [];
  return entries.map(([name, { value }]) => [name, value]);
}

/** What a context carries, in words that a failed test can print. */
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

export function recordSpans(
  options: { sampler?: Sampler; provider?: boolean; propagator?: TextMapPropagator } = {},
): Recording {
  const ended: ReadableSpan[] = [];
  const open = new Map<string, string>();
  const warnings: string[] = [];
  // A processor of our own knows what is still open, too.
  const keeper = {
    onStart: (span: ReadableSpan) => void open.set(span.spanContext().spanId, span.name),
    onEnd(span: ReadableSpan) {
      open.delete(span.spanContext().spanId);
      ended.push(span);
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
  const provider = new TracerProvider({
    spanProcessors: [keeper],
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

/** Puts all that is warned of into the list, until the function it returns is called. */
export function collectWarnings(into: string[]): () => void {
  const keep = (message: string): void => void into.push(message);
  const drop = (): void => {};
  diag.setLogger(
    { error: keep, warn: keep, info: drop, debug: drop, verbose: drop },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  return () => diag.disable();
}

/** A meter provider that writes down what is counted. */
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

  /** What was counted under one name, without its prefix. */
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

/** For tests that work much: patience with a busy machine. */
export const SLOW_TEST = { timeout: 60_000 } as const;
