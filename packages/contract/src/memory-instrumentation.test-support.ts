import {
  type Attributes,
  type Context,
  diag,
  type Link,
  metrics,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import type { AdapterOptions } from "./adapter.js";

/** The operations of the memory transport, as the messaging conventions name them. */
export type Operation = "process" | "send";

/** The adapter's counters, without their prefix. */
export type Counter = "extractions" | "injections" | "faults";

/** Attributes of the span of an operation. */
export function spanAttributes(operation: Operation): Readonly<Record<string, string>> {
  return { "messaging.system": "memory", "messaging.operation.type": operation };
}

/**
 * The telemetry of the memory adapter: spans, counters and reports. It calls the OpenTelemetry API directly and
 * imports no core, so that it can prove the contract. Mutants override a step, to do it wrong.
 */
export class MemoryInstrumentation {
  protected readonly options: AdapterOptions;

  constructor(options: AdapterOptions) {
    this.options = options;
  }

  protected get propagator(): Pick<TextMapPropagator, "inject" | "extract"> {
    return (
      this.options.propagator ?? {
        inject: (active, carrier, setter) => propagation.inject(active, carrier, setter),
        extract: (active, carrier, getter) => propagation.extract(active, carrier, getter),
      }
    );
  }

  protected startSpan(
    operation: Operation,
    parent: Context,
    links: Link[],
    attributes: Attributes,
  ): Span | undefined {
    const { tracerProvider = trace } = this.options;
    const kind = operation === "send" ? SpanKind.PRODUCER : SpanKind.CONSUMER;
    const all = { ...spanAttributes(operation), ...attributes };
    return this.guard(
      () =>
        tracerProvider
          .getTracer("traceferry.memory")
          .startSpan(`${operation} orders`, { kind, links, attributes: all }, parent),
      undefined,
    );
  }

  protected contextOf(parent: Context, span: Span | undefined): Context {
    return span === undefined ? parent : trace.setSpan(parent, span);
  }

  protected recordError(span: Span | undefined, error: unknown): void {
    this.guard(() => {
      span?.setStatus({ code: SpanStatusCode.ERROR });
      span?.setAttribute("error.type", error instanceof Error ? error.name : "_OTHER");
    }, undefined);
  }

  protected endSpan(span: Span | undefined): void {
    this.guard(() => span?.end(), undefined);
  }

  /** Runs a step of the adapter's own: when it throws, the error is reported and the message still flows. */
  protected guard<Result>(step: () => Result, fallback: Result): Result {
    try {
      return step();
    } catch (error) {
      this.report(error);
      return fallback;
    }
  }

  protected count(counter: Counter, attributes: Attributes): void {
    const { meterProvider = metrics.getMeterProvider() } = this.options;
    try {
      meterProvider
        .getMeter("traceferry.memory")
        .createCounter(`traceferry.${counter}`)
        .add(1, { ...attributes, boundary: "memory" });
    } catch {
      // A counter that throws cannot be counted.
    }
  }

  protected report(error: unknown): void {
    this.count("faults", {});
    diag.warn(`traceferry memory: ${String(error)}`);
  }
}
