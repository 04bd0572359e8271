import {
  type Attributes,
  type Context,
  context,
  INVALID_SPAN_CONTEXT,
  type Link,
  type Span,
  type SpanContext,
  type SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { isError, type Reporter } from "./report.js";
import { watchResult } from "./result/index.js";

/** The span to start. */
export interface SpanPlan {
  /** The span's name. */
  readonly name: string;
  /** The span's kind. */
  readonly kind: SpanKind;
  /** Attributes that are known at the start, so that samplers see them. Default: none. */
  readonly attributes?: Attributes;
  /** Links to other spans. Default: none. */
  readonly links?: Link[];
  /** The context to start in. A span context in it is the parent; without one the span is a root. */
  readonly parent: Context;
}

/**
 * A span and the context in which it is active. It ends once, however often its methods are called. What the
 * tracer throws is reported, not thrown: without a span the parent's context is carried on, and so is the trace.
 */
export class ActiveSpan {
  /** The span. Where the tracer failed: one that records nothing and has the parent's span context. */
  readonly span: Span;
  /** The parent's context with the span in it. */
  readonly context: Context;
  readonly #reporter: Reporter;
  #ended = false;

  /**
   * @param tracer - looked up here, so that a tracer provider that throws is reported too
   * @param reporter - reports what the tracer and the span throw
   */
  constructor(tracer: () => Tracer, plan: SpanPlan, reporter: Reporter) {
    this.#reporter = reporter;
    const { name, kind, attributes, links, parent } = plan;
    let span: Span | undefined;
    try {
      const options: SpanOptions = { kind };
      if (attributes !== undefined) options.attributes = attributes;
      if (links !== undefined && links.length > 0) options.links = links;
      span = tracer().startSpan(name, options, parent);
    } catch (error) {
      reporter.fault("start span", error);
    }
    this.span = span ?? trace.wrapSpanContext(spanContextOf(parent) ?? INVALID_SPAN_CONTEXT);
    this.context = span === undefined ? parent : trace.setSpan(parent, span);
  }

  /** Runs a function in the span's context. What it throws is thrown on, and not recorded. */
  run<T>(fn: () => T): T {
    return context.with(this.context, fn);
  }

  /** Sets attributes that were not known at the start. Does nothing after the end. */
  set(attributes: Attributes): void {
    if (this.#ended) return;
    this.#guard("set attributes", () => this.span.setAttributes(attributes));
  }

  /**
   * Marks the span as failed: status ERROR, `error.type`, and the exception as an event. Does nothing after the end.
   *
   * @param error - whatever was thrown
   * @param type - the `error.type`. Default: the error's name, or `_OTHER` for what is no Error
   */
  fail(error: unknown, type?: string): void {
    if (this.#ended) return;
    this.#guard("record failure", () => {
      this.span.setAttribute("error.type", type ?? errorType(error));
      if (isError(error)) this.span.recordException(error);
      this.span.setStatus({ code: SpanStatusCode.ERROR, message: errorMessage(error) });
    });
  }

  /** Ends the span because of something thrown: as failed, unless `isFailure` returns false for it. */
  endWith(thrown: unknown, isFailure: (thrown: unknown) => boolean): void {
    if (this.#ended) return;
    let failed = true;
    this.#guard("isFailure", () => {
      failed = isFailure(thrown);
    });
    if (failed) this.fail(thrown);
    this.end();
  }

  /** Ends the span. Does nothing the second time. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#guard("end span", () => this.span.end());
  }

  #guard(operation: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#reporter.fault(operation, error);
    }
  }
}

/**
 * Runs a function inside a span and ends the span when the result is finished: when the function returns or
 * throws, its promise settles, its iterator is finished or left, its stream closes. What the function throws is
 * recorded on the span and thrown on, the same object.
 *
 * @param isFailure - returns false for something thrown that is no failure, such as a library's flow control.
 *   Default: all that is thrown is a failure
 */
export function withSpan<T>(
  activeSpan: ActiveSpan,
  fn: (span: Span) => T,
  isFailure: (thrown: unknown) => boolean = everythingIsFailure,
): T {
  const fail = (thrown: unknown): void => activeSpan.endWith(thrown, isFailure);
  let result: T;
  try {
    result = activeSpan.run(() => fn(activeSpan.span));
  } catch (thrown) {
    fail(thrown);
    throw thrown;
  }
  return watchResult(result, activeSpan.context, () => activeSpan.end(), fail);
}

/** Returns the low-cardinality name of an error, by the conventions for `error.type`; `_OTHER` for what is no Error. */
export function errorType(error: unknown): string {
  try {
    if (!isError(error)) return "_OTHER";
    return typeof error.name === "string" && error.name !== "" ? error.name : "Error";
  } catch {
    return "_OTHER";
  }
}

// Cut to 500 characters: messages may quote what a stranger sent.
function errorMessage(error: unknown): string {
  const text: unknown = isError(error) ? error.message : error;
  return typeof text === "string" ? text.slice(0, 500) : typeof text;
}

const everythingIsFailure = (): boolean => true;

// The parent may hold a span of another instrumentation that throws.
function spanContextOf(parent: Context): SpanContext | undefined {
  try {
    return trace.getSpanContext(parent);
  } catch {
    return undefined;
  }
}
