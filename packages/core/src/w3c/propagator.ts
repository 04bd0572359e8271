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
import { Reporter } from "../report.js";
import { isTracingSuppressed } from "../suppress.js";
import { wrongOption } from "../wrong-option.js";
import { parseBaggage, serializeBaggage } from "./baggage.js";
import { joinTexts, textsOf } from "./text.js";
import { formatTraceparent, parseTraceparent, RANDOM } from "./traceparent.js";
import { StrictTraceState, serializeTraceState } from "./tracestate.js";

export interface W3CPropagatorOptions {
  /**
   * What becomes of the random-trace-id flag of a trace that is continued. `"keep"` sends it on, as W3C
   * Trace Context Level 2 asks; `"clear"` is for peers that reject flags above 1: otel-go before 1.42
   * (opentelemetry-go#7834), Rust up to 0.31 (opentelemetry-rust#3435). Default: `"keep"`.
   */
  readonly randomFlag?: "keep" | "clear";
}

/** Whether the trace with this id came in with the random flag; the SDK makes its own flags and forgets it. */
interface RandomFlag {
  readonly traceId: string;
  readonly bit: number;
}

const RANDOM_FLAG = createContextKey("@traceferry/core random flag");
const FIELDS = ["traceparent", "tracestate", "baggage"];

/**
 * W3C Trace Context Level 2 and W3C Baggage to the letter, for any carrier: values may be text, bytes or
 * lists of these. Install it for the process, `propagation.setGlobalPropagator(w3cPropagator())`, or give it
 * to one adapter. A repeated or malformed `traceparent` gives the context back as it came; it never throws.
 *
 * @throws TypeError when an option is not one of the values above.
 */
export function w3cPropagator(options: W3CPropagatorOptions = {}): TextMapPropagator<unknown> {
  const { randomFlag = "keep" } = options;
  if (randomFlag !== "keep" && randomFlag !== "clear") {
    throw wrongOption("randomFlag", '"keep" or "clear"', randomFlag);
  }
  return new W3CPropagator(randomFlag === "keep" ? RANDOM : 0);
}

class W3CPropagator implements TextMapPropagator<unknown> {
  readonly #randomMask: number;
  readonly #reporter = new Reporter("propagator");

  constructor(randomMask: number) {
    this.#randomMask = randomMask;
  }

  inject(context: Context, carrier: unknown, setter: TextMapSetter<unknown>): void {
    if (isTracingSuppressed(context)) return;
    try {
      const span = trace.getSpanContext(context);
      if (span !== undefined) this.#injectSpan(span, context, carrier, setter);
      const baggage = propagation.getBaggage(context);
      const text = baggage === undefined ? "" : serializeBaggage(baggage);
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
    const kept = randomFlagOf(context);
    const random = kept?.traceId === span.traceId ? kept.bit : span.traceFlags;
    const traceparent = formatTraceparent(span, random & this.#randomMask);
    if (traceparent === undefined) return;
    setter.set(carrier, "traceparent", traceparent);
    const state = span.traceState === undefined ? "" : serializeTraceState(span.traceState);
    if (state !== "") setter.set(carrier, "tracestate", state);
  }

  extract(context: Context, carrier: unknown, getter: TextMapGetter<unknown>): Context {
    try {
      const withSpan = extractSpan(context, carrier, getter);
      const text = joinTexts(textsOf(getter.get(carrier, "baggage")));
      const baggage = text === undefined ? undefined : parseBaggage(text);
      return baggage === undefined ? withSpan : propagation.setBaggage(withSpan, baggage);
    } catch (error) {
      this.#reporter.fault("extract", error);
      return context;
    }
  }

  fields(): string[] {
    return [...FIELDS];
  }
}

function extractSpan(context: Context, carrier: unknown, getter: TextMapGetter<unknown>): Context {
  // It is no list field: two of them cannot match the grammar, even identical ones. Then a new trace begins.
  const [text, second] = textsOf(getter.get(carrier, "traceparent"));
  if (text === undefined || second !== undefined) return context;
  const parent = parseTraceparent(text);
  if (typeof parent === "string") return context;

  const stateText = joinTexts(textsOf(getter.get(carrier, "tracestate")));
  const state = stateText === undefined ? undefined : StrictTraceState.parse(stateText);
  const span: SpanContext = {
    traceId: parent.traceId,
    spanId: parent.spanId,
    traceFlags: parent.flags,
    isRemote: true,
    ...(state instanceof StrictTraceState && { traceState: state }),
  };
  const random: RandomFlag = { traceId: parent.traceId, bit: parent.flags & RANDOM };
  return trace.setSpanContext(context.setValue(RANDOM_FLAG, random), span);
}

function randomFlagOf(context: Context): RandomFlag | undefined {
  const kept: unknown = context.getValue(RANDOM_FLAG);
  return isRandomFlag(kept) ? kept : undefined;
}

function isRandomFlag(value: unknown): value is RandomFlag {
  return typeof value === "object" && value !== null && "traceId" in value && "bit" in value;
}
