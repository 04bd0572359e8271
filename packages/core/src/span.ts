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

/** A span that is to begin. */
export interface SpanPlan {
  readonly name: string;
  readonly kind: SpanKind;
  /** Known at the start, so that samplers see them. */
  readonly attributes?: Attributes;
  readonly links?: Link[];
  /** The context to begin in: a span context in it is the parent. Without one the span is a root. */
  readonly parent: Context;
}

/**
 * A span and the context it is active in. It ends once, whatever is called how often, and nothing a tracer
 * throws gets out: without a span the context of the parent goes on, so that the trace still does.
 */
export class ActiveSpan {
  /** The span; a stand-in that records nothing where the tracer failed. */
  readonly span: Span;
  /** The parent's context with the span in it. */
  readonly context: Context;
  readonly #reporter: Reporter;
  #ended = false;

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

  /** Runs a function in the span's context. What it throws is the caller's: it passes, unrecorded. */
  run<T>(fn: () => T): T {
    return context.with(this.context, fn);
  }

  /** Sets attributes that were not known at the start. */
  set(attributes: Attributes): void {
    if (this.#ended) return;
    this.#guard("set attributes", () => this.span.setAttributes(attributes));
  }

  /**
   * Marks the span as failed: status ERROR, `error.type`, and the exception as an event.
   *
   * @param error - whatever was thrown
   * @param type - the `error.type`; default the error's name, or `_OTHER` for what is no Error
   */
  fail(error: unknown, type?: string): void {
    if (this.#ended) return;
    this.#guard("record failure", () => {
      this.span.setAttribute("error.type", type ?? errorType(error));
      if (isError(error)) this.span.recordException(error);
      this.span.setStatus({ code: SpanStatusCode.ERROR, message: errorMessage(error) });
    });
  }

  /** Ends the span for something thrown: as failed, unless `isFailure` says that it is no failure. */
  endWith(thrown: unknown, isFailure: (thrown: unknown) => boolean): void {
    if (this.#ended) return;
    let failed = true;
    this.#guard("isFailure", () => {
      failed = isFailure(thrown);
    });
    if (failed) this.fail(thrown);
    this.end();
  }

  /** Ends the span; the second time nothing happens. */
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
 * Runs a function inside a span and ends the span when all is done: when it returns or throws, when its
 * promise settles, when its iterator is finished or let go, when its stream closes. What the function throws
 * is noted on the span and thrown on, the same object.
 *
 * @param isFailure - whether something thrown is a failure; default all is. Flow control of a library is none.
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

/** The low-cardinality name of an error, by the conventions for `error.type`. */
export function errorType(error: unknown): string {
  try {
    if (!isError(error)) return "_OTHER";
    return typeof error.name === "string" && error.name !== "" ? error.name : "Error";
  } catch {
    return "_OTHER";
  }
}

// Messages may quote what a stranger sent.
function errorMessage(error: unknown): string {
  const text: unknown = isError(error) ? error.message : error;
  return typeof text === "string" ? text.slice(0, 500) : typeof text;
}

const everythingIsFailure = (): boolean => true;

// The active span may be somebody else's that throws.
function spanContextOf(parent: Context): SpanContext | undefined {
  try {
    return trace.getSpanContext(parent);
  } catch {
    return undefined;
  }
}
