import {
  type Context,
  createContextKey,
  propagation,
  type SpanContext,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import { isTracingSuppressed } from "../context.js";
import { wrongOption } from "../options.js";
import { Reporter } from "../report.js";
import { parseBaggage, serializeBaggage } from "./baggage.js";
import { headerText, isRepeated } from "./text.js";
import { formatTraceparent, parseTraceparent, RANDOM_FLAG } from "./traceparent.js";
import { StrictTraceState, serializeTraceState } from "./tracestate.js";

/** The options of `w3cPropagator`. */
export interface W3CPropagatorOptions {
  /**
   * The random-trace-id flag of a trace that is continued: `"keep"` sends it on, as W3C Trace Context Level 2
   * asks; `"clear"` is for peers that reject flags above 1: otel-go before 1.42 (opentelemetry-go#7834), Rust up to
   * 0.31 (opentelemetry-rust#3435). Default: `"keep"`.
   */
  readonly randomFlag?: "keep" | "clear";
}

/** The random flag that the trace with this id came in with. The SDK's spans have flags of their own, without it. */
interface RememberedRandomFlag {
  readonly traceId: string;
  readonly bit: number;
}

const RANDOM_FLAG_KEY = createContextKey("@traceferry/core random flag");
const FIELDS = ["traceparent", "tracestate", "baggage"];

/**
 * Makes a propagator for W3C Trace Context Level 2 and W3C Baggage, to the letter, for any carrier: values may be
 * text, bytes or lists of these. Install it for the process, `propagation.setGlobalPropagator(w3cPropagator())`,
 * or pass it to one adapter. For a repeated or malformed `traceparent` it returns the context unchanged. The
 * propagator never throws.
 *
 * @throws TypeError when an option has another value than those listed.
 */
export function w3cPropagator(options: W3CPropagatorOptions = {}): TextMapPropagator<unknown> {
  const { randomFlag = "keep" } = options;
  if (randomFlag !== "keep" && randomFlag !== "clear") {
    throw wrongOption("randomFlag", '"keep" or "clear"', randomFlag);
  }
  return new W3CPropagator(randomFlag === "keep" ? RANDOM_FLAG : 0);
}

class W3CPropagator implements TextMapPropagator<unknown> {
  readonly #randomMask: number;
  readonly #reporter = new Reporter("propagator");

  constructor(randomMask: number) {
    this.#randomMask = randomMask;
  }

  inject(context: Context, carrier: unknown, setter: TextMapSetter<unknown>): void {
    if (isTracingSuppressed(context)) return;
    // Two guards: a foreign span that throws must not cost the baggage, nor the other way round.
    try {
      const span = trace.getSpanContext(context);
      if (span !== undefined) this.#injectSpan(span, context, carrier, setter);
    } catch (error) {
      this.#reporter.fault("inject", error);
    }
    try {
      const baggage = propagation.getBaggage(context);
      const text = baggage === undefined ? "" : serializeBaggage(baggage, this.#reportInvalidKey);
      if (text !== "") setter.set(carrier, "baggage", text);
    } catch (error) {
      this.#reporter.fault("inject", error);
    }
  }

  #injectSpan(
    span: SpanContext,
    context: Context,
    carrier: unknown,
    setter: TextMapSetter<unknown>,
  ): void {
    const random = rememberedRandomBit(context, span.traceId) ?? span.traceFlags;
    const traceparent = formatTraceparent(span, random & this.#randomMask);
    if (traceparent === undefined) return;
    setter.set(carrier, "traceparent", traceparent);
    const state = span.traceState === undefined ? "" : serializeTraceState(span.traceState);
    if (state !== "") setter.set(carrier, "tracestate", state);
  }

  readonly #reportInvalidKey = (name: unknown): void => {
    this.#reporter.fault("baggage", `not sent, its name is no RFC 7230 token: ${String(name)}`);
  };

  extract(context: Context, carrier: unknown, getter: TextMapGetter<unknown>): Context {
    const withParent = this.#extractSpan(context, carrier, getter);
    const text = this.#read(carrier, getter, "baggage");
    const baggage = text === undefined ? undefined : parseBaggage(text);
    return baggage === undefined ? withParent : propagation.setBaggage(withParent, baggage);
  }

  #extractSpan(context: Context, carrier: unknown, getter: TextMapGetter<unknown>): Context {
    const text = this.#read(carrier, getter, "traceparent");
    if (text === undefined) return context;
    const parent = parseTraceparent(text);
    if (typeof parent === "string") return context;
    const { traceId, spanId, flags } = parent;

    const span: SpanContext = { traceId, spanId, traceFlags: flags, isRemote: true };
    const stateText = this.#read(carrier, getter, "tracestate");
    const state = stateText === undefined ? undefined : StrictTraceState.parse(stateText);
    if (state instanceof StrictTraceState) span.traceState = state;
    return trace.setSpanContext(rememberRandomBit(context, traceId, flags & RANDOM_FLAG), span);
  }

  // The getter and its values are foreign code: nothing else in an extraction can throw.
  #read(carrier: unknown, getter: TextMapGetter<unknown>, field: string): string | undefined {
    try {
      const value: unknown = getter.get(carrier, field);
      // A traceparent is no list field: two of them, even identical ones, are malformed, and a new trace begins.
      return field === "traceparent" && isRepeated(value) ? undefined : headerText(value);
    } catch (error) {
      this.#reporter.fault("extract", error);
      return undefined;
    }
  }

  fields(): string[] {
    return [...FIELDS];
  }
}

// An unset bit is remembered only where it was set for the same trace before: without it the SDK's flags say the same.
function rememberRandomBit(context: Context, traceId: string, bit: number): Context {
  if ((rememberedRandomBit(context, traceId) ?? 0) === bit) return context;
  const remembered: RememberedRandomFlag = { traceId, bit };
  return context.setValue(RANDOM_FLAG_KEY, remembered);
}

function rememberedRandomBit(context: Context, traceId: string): number | undefined {
  const remembered: unknown = context.getValue(RANDOM_FLAG_KEY);
  return isRememberedRandomFlag(remembered) && remembered.traceId === traceId
    ? remembered.bit
    : undefined;
}

function isRememberedRandomFlag(value: unknown): value is RememberedRandomFlag {
  return typeof value === "object" && value !== null && "traceId" in value && "bit" in value;
}
