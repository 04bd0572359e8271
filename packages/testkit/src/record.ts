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

/** What `recordSpans` registers on the OpenTelemetry API. */
export interface RecordOptions {
  /** The global propagator. Default: the SDK's own W3C trace context and W3C baggage. */
  readonly propagator?: TextMapPropagator;
  /** Decides what is recorded. Default: the SDK's, which obeys the parent and records every root. */
  readonly sampler?: Sampler;
  /** `false` registers a context manager and a propagator but nothing that makes spans ("propagation only"). Default: `true`. */
  readonly provider?: boolean;
  /** Registered as the global meter provider. Default: none. */
  readonly meterProvider?: MeterProvider;
  /** Collects what goes to `diag.warn` and `diag.error`, replacing a logger that is set already. Default: `true`. */
  readonly captureDiag?: boolean;
}

/** A span that has ended, as plain values. */
export interface RecordedSpan {
  readonly name: string;
  readonly kind: keyof typeof SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  /** Whether the sampler chose to export it. */
  readonly sampled: boolean;
  readonly parentSpanId?: string;
  readonly parentIsRemote?: boolean;
  /** Serialised; absent when there is none or it is empty. */
  readonly traceState?: string;
  readonly attributes: Readonly<Record<string, AttributeValue | undefined>>;
  readonly events: readonly RecordedEvent[];
  readonly links: readonly RecordedLink[];
  readonly status: { readonly code: keyof typeof SpanStatusCode; readonly message?: string };
  /** Name of the tracer that made it. */
  readonly scope: string;
}

/** Something noted on a span. */
export interface RecordedEvent {
  readonly name: string;
  readonly attributes: Attributes;
}

/** Another span that a span points at. */
export interface RecordedLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState?: string;
  readonly attributes: Attributes;
}

/** The spans of one test. Leaving its `using` block unregisters everything again. */
export interface RecordedSpans extends Disposable {
  /** Spans that have ended, in that order. */
  readonly ended: readonly RecordedSpan[];
  /** Names of the spans that were started and have not ended, in the order of their start. */
  readonly open: readonly string[];
  /** What went to `diag.warn` and `diag.error`, one line each. A span that ends twice shows up here. */
  readonly warnings: readonly string[];
  /** The one ended span of this name. Throws, listing what there is, when none or several have it. */
  named(name: string): RecordedSpan;
  /** A tracer of what is registered. Default name: `"test"`. */
  tracer(name?: string): Tracer;
  /** Forgets ended spans and warnings. Open spans stay. */
  clear(): void;
}

/**
 * Registers a context manager, a propagator and an in-memory tracer provider on the OpenTelemetry API and keeps
 * every span that ends. Works with SDK 2.12 and 3.x.
 *
 *     using spans = recordSpans();
 *
 * Two recordings cannot overlap. One that is still open, because its test timed out or a `using` is missing, ends
 * where the next begins, and a process warning names both places.
 *
 * @throws Error when anything but a recording is registered already.
 */
export function recordSpans(options: RecordOptions = {}): RecordedSpans {
  const keeper = new SpanKeeper();
  const warnings: string[] = [];
  const undo: (() => void)[] = [];
  const end = () => {
    for (const step of undo.splice(0)) step();
    endRecording(end);
  };
  beginRecording(recordSpans, end);

  const register = (what: string, done: boolean, disable: () => void) => {
    if (done) {
      undo.push(disable);
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
    propagation.setGlobalPropagator(options.propagator ?? stockPropagator()),
    () => propagation.disable(),
  );
  // Not what is registered by then: a test that goes on after its recording ended must not write into the next one.
  let tracers: Pick<TracerProvider, "getTracer"> = trace;
  if (options.provider !== false) {
    const provider = new TracerProvider({
      spanProcessors: [keeper],
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
    const keep = (...args: unknown[]) => {
      warnings.push(format(...args));
    };
    const drop = () => {};
    diag.setLogger(
      { error: keep, warn: keep, info: drop, debug: drop, verbose: drop },
      { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
    );
    undo.push(() => diag.disable());
  }

  return {
    get ended() {
      return keeper.ended;
    },
    get open() {
      return [...keeper.started.values()];
    },
    get warnings() {
      return warnings;
    },
    named: (name) => only(keeper.ended, name),
    tracer: (name = "test") => tracers.getTracer(name),
    clear() {
      keeper.ended = [];
      warnings.length = 0;
    },
    [Symbol.dispose]: end,
  };
}

// A processor of our own: it also knows the spans that were started and have not ended.
class SpanKeeper implements SpanProcessor {
  ended: RecordedSpan[] = [];
  readonly started = new Map<string, string>();

  onStart(span: ReadableSpan): void {
    this.started.set(idOf(span), span.name);
  }

  onEnd(span: ReadableSpan): void {
    this.started.delete(idOf(span));
    this.ended.push(viewOf(span));
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

function stockPropagator(): TextMapPropagator {
  return new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
  });
}

function idOf(span: ReadableSpan): string {
  const { traceId, spanId } = span.spanContext();
  return `${traceId}-${spanId}`;
}

function viewOf(span: ReadableSpan): RecordedSpan {
  const own = span.spanContext();
  const parent = span.parentSpanContext;
  const { code, message } = span.status;
  return {
    name: span.name,
    kind: nameOf(SpanKind, span.kind),
    traceId: own.traceId,
    spanId: own.spanId,
    sampled: (own.traceFlags & 1) === 1,
    ...(parent && { parentSpanId: parent.spanId, parentIsRemote: parent.isRemote === true }),
    ...stateOf(own),
    attributes: { ...span.attributes },
    events: span.events.map((event) => ({
      name: event.name,
      attributes: { ...event.attributes },
    })),
    links: span.links.map(linkOf),
    status: { code: nameOf(SpanStatusCode, code), ...(message !== undefined && { message }) },
    scope: span.instrumentationScope.name,
  };
}

function linkOf(link: Link): RecordedLink {
  const { traceId, spanId } = link.context;
  return { traceId, spanId, ...stateOf(link.context), attributes: { ...link.attributes } };
}

function stateOf(spanContext: SpanContext): { traceState?: string } {
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

function only(ended: readonly RecordedSpan[], name: string): RecordedSpan {
  const [first, ...others] = ended.filter((span) => span.name === name);
  if (first !== undefined && others.length === 0) return first;
  const there = ended.map(
    (span) => `\n  ${span.kind} ${JSON.stringify(span.name)} ${span.traceId}`,
  );
  throw new Error(
    `expected one ended span named ${JSON.stringify(name)}, found ${first === undefined ? 0 : others.length + 1}.` +
      (there.length === 0 ? " No span has ended." : ` Ended spans:${there.join("")}`),
  );
}
