import { context, ROOT_CONTEXT, SpanKind, type Tracer, trace } from "@opentelemetry/api";
import { REMOTE } from "./fixtures.test-support.js";
import { Reporter } from "./report.js";
import { ActiveSpan, type SpanPlan } from "./span.js";

/** A context with the sender as parent. */
export const PARENT = trace.setSpanContext(ROOT_CONTEXT, REMOTE);
/** The error that is thrown on purpose. */
export const failure = new RangeError("on purpose");
/** Throws it. */
export const throwFailure = (): never => {
  throw failure;
};

/** Starts a span, by default a consumer's that continues the sender. */
export function startTestSpan(
  plan: Partial<SpanPlan> = {},
  tracer: () => Tracer = () => trace.getTracer("test"),
) {
  return new ActiveSpan(
    tracer,
    { name: "process orders", kind: SpanKind.CONSUMER, parent: PARENT, ...plan },
    new Reporter("test"),
  );
}

/** The id of the span that is active. */
export const activeSpanId = () => trace.getSpan(context.active())?.spanContext().spanId;
