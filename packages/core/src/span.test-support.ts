import { context, ROOT_CONTEXT, SpanKind, type Tracer, trace } from "@opentelemetry/api";
import { REMOTE } from "./fixtures.test-support.js";
import { Reporter } from "./report.js";
import { ActiveSpan, type SpanPlan } from "./span.js";

export const PARENT = trace.setSpanContext(ROOT_CONTEXT, REMOTE);
export const failure = new RangeError("on purpose");
export const throwFailure = (): never => {
  throw failure;
};

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

export const activeSpanId = () => trace.getSpan(context.active())?.spanContext().spanId;
