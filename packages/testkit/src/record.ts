import { format } from "node:util";
import {
  type Attributes,
  type AttributeValue,
  context,
  DiagLogLevel,
  diag,
  type Link,
  type MeterProvider,
  metrics,
  propagation,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import {
  type ReadableSpan,
  type Sampler,
  type SpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { beginRecording, endRecording } from "./open-recording.js";

/** Options of `recordSpans`: what it registers on the OpenTelemetry API. */
export interface RecordOptions {
  /** The global propagator. Default: the SDK's own W3C trace context and W3C baggage. */
  readonly propagator?: TextMapPropagator;
  /** The sampler of the tracer provider. Default: the SDK's, which follows the parent and records every root. */
  readonly sampler?: Sampler;
  /** `false` registers a context manager and a propagator, but no tracer provider ("propagation only"). Default: `true`. */
  readonly provider?: boolean;
  /** The global meter provider. Default: none. */
  readonly meterProvider?: MeterProvider;
  /** Collects `diag.warn` and `diag.error`, in place of a logger that is set already. Default: `true`. */
  readonly captureDiag?: boolean;
}

/** A span that has ended, as plain values. */
export interface RecordedSpan {
  readonly name: string;
  readonly kind: keyof typeof SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  /** True when its sampled flag is set. */
  readonly sampled: boolean;
  readonly parentSpanId?: string;
  readonly parentIsRemote?: boolean;
  /** The serialized tracestate; absent when it is empty. */
  readonly traceState?: string;
  readonly attributes: Readonly<Record<string, AttributeValue | undefined>>;
  readonly events: readonly RecordedEvent[];
  readonly links: readonly RecordedLink[];
  readonly status: { readonly code: keyof typeof SpanStatusCode; readonly message?: string };
  /** The name of the tracer that made it. */
  readonly scope: string;
}

/** An event of a recorded span. */
export interface RecordedEvent {
  readonly name: string;
  readonly attributes: Attributes;
}

/** A link of a recorded span. */
export interface RecordedLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState?: string;
  readonly attributes: Attributes;
}

/** The spans of one test. The end of its `using` block unregisters everything again. */
export interface RecordedSpans extends Disposable {
  /** The spans that have ended, in order of their end. */
  readonly ended: readonly RecordedSpan[];
  /** The names of the spans that have not ended, in order of their start. */
  readonly open: readonly string[];
  /** The messages of `diag.warn` and `diag.error`, one line each. The SDK warns of a span that ends twice. */
  readonly warnings: readonly string[];
  /**
   * The only ended span of this name.
   *
   * @throws Error, listing the ended spans, when none or several have this name.
   */
  named(name: string): RecordedSpan;
  /** A tracer of the recording's provider. Default name: `"test"`. */
  tracer(name?: string): Tracer;
  /** Forgets ended spans and warnings. Spans that have not ended are kept. */
  clear(): void;
}

/**
 * Registers a context manager, a propagator and an in-memory tracer provider on the OpenTelemetry API, and records
 * every span that ends. Works with SDK 2.12 and 3.x.
 *
 *     using spans = recordSpans();
 *
 * Two recordings cannot overlap. One that is still open, because its test timed out or a `using` is missing, ends
 * where the next begins, and a process warning names both places.
 *
 * @throws Error when a global that is not from a recording is registered already.
 */
export function recordSpans(options: RecordOptions = {}): RecordedSpans {
  const recorder = new SpanRecorder();
  const warnings: string[] = [];
  const unregister: (() => void)[] = [];
  const end = () => {
    for (const step of unregister.splice(0)) step();
    endRecording(end);
  };
  beginRecording(recordSpans, end);

  const register = (what: string, isRegistered: boolean, disable: () => void) => {
    if (isRegistered) {
      unregister.push(disable);
      return;
    }
    end();
    throw new Error(
      `recordSpans: a global ${what} is registered on the OpenTelemetry API already; unregister it first`,
    );
  };

  register(
    "context manager",
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()),
    () => context.disable(),
  );
  register(
    "propagator",
    propagation.setGlobalPropagator(options.propagator ?? sdkPropagator()),
    () => propagation.disable(),
  );
  // Not the provider that is global at the time of the call: a test that outlives its recording must not record into
  // the next one.
  let tracers: Pick<TracerProvider, "getTracer"> = trace;
  if (options.provider !== false) {
    const provider = new TracerProvider({
      spanProcessors: [recorder],
      ...(options.sampler && { sampler: options.sampler }),
    });
    tracers = provider;
    register("tracer provider", trace.setGlobalTracerProvider(provider), () => trace.disable());
  }
  if (options.meterProvider) {
    register("meter provider", metrics.setGlobalMeterProvider(options.meterProvider), () =>
      metrics.disable(),
    );
  }
  if (options.captureDiag !== false) {
    const capture = (...args: unknown[]) => {
      warnings.push(format(...args));
    };
    const ignore = () => {};
    diag.setLogger(
      { error: capture, warn: capture, info: ignore, debug: ignore, verbose: ignore },
      { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
    );
    unregister.push(() => diag.disable());
  }

  return {
    get ended() {
      return recorder.ended;
    },
    get open() {
      return [...recorder.started.values()];
    },
    get warnings() {
      return warnings;
    },
    named: (name) => onlySpanNamed(name, recorder.ended),
    tracer: (name = "test") => tracers.getTracer(name),
    clear() {
      recorder.ended = [];
      warnings.length = 0;
    },
    [Symbol.dispose]: end,
  };
}

// The SDK's in-memory exporter does not know the spans that have not ended.
class SpanRecorder implements SpanProcessor {
  ended: RecordedSpan[] = [];
  readonly started = new Map<string, string>();

  onStart(span: ReadableSpan): void {
    this.started.set(idOf(span), span.name);
  }

  onEnd(span: ReadableSpan): void {
    this.started.delete(idOf(span));
    this.ended.push(toRecordedSpan(span));
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

function sdkPropagator(): TextMapPropagator {
  return new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
  });
}

function idOf(span: ReadableSpan): string {
  const { traceId, spanId } = span.spanContext();
  return `${traceId}-${spanId}`;
}

function toRecordedSpan(span: ReadableSpan): RecordedSpan {
  const spanContext = span.spanContext();
  const parent = span.parentSpanContext;
  const { code, message } = span.status;
  return {
    name: span.name,
    kind: nameOf(SpanKind, span.kind),
    traceId: spanContext.traceId,
    spanId: spanContext.spanId,
    sampled: (spanContext.traceFlags & 1) === 1,
    ...(parent && { parentSpanId: parent.spanId, parentIsRemote: parent.isRemote === true }),
    ...traceStateOf(spanContext),
    attributes: { ...span.attributes },
    events: span.events.map((event) => ({
      name: event.name,
      attributes: { ...event.attributes },
    })),
    links: span.links.map(toRecordedLink),
    status: { code: nameOf(SpanStatusCode, code), ...(message !== undefined && { message }) },
    scope: span.instrumentationScope.name,
  };
}

function toRecordedLink(link: Link): RecordedLink {
  const { traceId, spanId } = link.context;
  return { traceId, spanId, ...traceStateOf(link.context), attributes: { ...link.attributes } };
}

function traceStateOf(spanContext: SpanContext): { traceState?: string } {
  const traceState = spanContext.traceState?.serialize();
  return traceState ? { traceState } : {};
}

function nameOf<Names extends Record<string, number | string>>(
  names: Names,
  value: number,
): Extract<keyof Names, string> {
  for (const name in names) if (names[name] === value) return name;
  throw new RangeError(`no such value of a span: ${value}`);
}

function onlySpanNamed(name: string, ended: readonly RecordedSpan[]): RecordedSpan {
  const [first, ...others] = ended.filter((span) => span.name === name);
  if (first !== undefined && others.length === 0) return first;
  const lines = ended.map(
    (span) => `\n  ${span.kind} ${JSON.stringify(span.name)} ${span.traceId}`,
  );
  throw new Error(
    `expected one ended span named ${JSON.stringify(name)}, found ${first === undefined ? 0 : others.length + 1}.` +
      (lines.length === 0 ? " No span has ended." : ` Ended spans:${lines.join("")}`),
  );
}
