import { type Context, context, ROOT_CONTEXT, type Span, SpanStatusCode } from "@opentelemetry/api";
import { MemoryHarness } from "./memory-adapter.test-support.js";
import {
  CONTINUED,
  FAILED_SEND,
  failedHandler,
  type Mutant,
  type Mutants,
  reportedFault,
} from "./mutant.test-support.js";

const ERROR_TYPES = "error.type distinguishes the handler's errors";

const latest = { own: ROOT_CONTEXT };

/** Mutants of the context that the handler runs in, and of how its span ends. */
export const handlerMutants: Mutants = {
  "calls the handler outside of its context": {
    adapter: class extends MemoryHarness {
      override runHandler(_: Context, span: Span | undefined, handler: () => unknown) {
        return super.runHandler(ROOT_CONTEXT, span, handler);
      }
    },
    caughtBy: [
      CONTINUED,
      "everything that the handler awaits, emits or schedules sees its context",
      "a message that the handler sends continues the sender's trace",
    ],
  },
  "shares one context among messages": {
    adapter: class extends MemoryHarness {
      override async runHandler(own: Context, span: Span | undefined, handler: () => unknown) {
        latest.own = own;
        await new Promise(setImmediate);
        return super.runHandler(latest.own, span, handler);
      }
    },
    caughtBy: ["twenty concurrent messages never see each other's context"],
  },
  "does not end the span of a handler that throws": {
    adapter: class extends MemoryHarness {
      override async runHandler(own: Context, span: Span | undefined, handler: () => unknown) {
        await context.with(own, handler);
        this.endSpan(span);
      }
    },
    caughtBy: [failedHandler("throws"), failedHandler("rejects with nothing")],
  },
  "ends every span twice": {
    adapter: class extends MemoryHarness {
      override endSpan(span: Span | undefined) {
        super.endSpan(span);
        super.endSpan(span);
      }
    },
    caughtBy: [CONTINUED, failedHandler("throws"), FAILED_SEND],
  },
  "swallows the handler's error": onHandlerError(
    () => undefined,
    [failedHandler("throws a string")],
  ),
  "wraps the handler's error": onHandlerError(
    (cause) => {
      throw new Error("processing failed", { cause });
    },
    [
      failedHandler("rejects late"),
      failedHandler("throws a string"),
      reportedFault("a tracer that throws"),
    ],
  ),
  "runs a failed handler again": onHandlerError(
    (_, again) => again(),
    [reportedFault("a span that cannot end"), reportedFault("a tracer that throws")],
  ),
  "records no errors": {
    adapter: class extends MemoryHarness {
      override recordError() {}
    },
    caughtBy: [failedHandler("throws"), failedHandler("rejects"), FAILED_SEND],
  },
  "sets no error.type": {
    adapter: class extends MemoryHarness {
      override recordError(span: Span | undefined) {
        span?.setStatus({ code: SpanStatusCode.ERROR });
      }
    },
    caughtBy: [failedHandler("throws"), failedHandler("throws a string"), FAILED_SEND],
  },
  "gives every error the same error.type": {
    adapter: class extends MemoryHarness {
      override recordError(span: Span | undefined) {
        super.recordError(span, new Error("failed"));
      }
    },
    caughtBy: [ERROR_TYPES, failedHandler("throws"), failedHandler("throws a string"), FAILED_SEND],
  },
  "gives every Error the error.type RangeError": {
    adapter: class extends MemoryHarness {
      override recordError(span: Span | undefined, error: unknown) {
        super.recordError(span, error instanceof Error ? new RangeError() : error);
      }
    },
    caughtBy: [ERROR_TYPES],
  },
  "sets status ERROR on every span": {
    adapter: class extends MemoryHarness {
      override endSpan(span: Span | undefined) {
        super.recordError(span, "anything");
        super.endSpan(span);
      }
    },
    caughtBy: [
      "a handler that returns leaves the span status unset",
      "a send that succeeds leaves the span status unset",
    ],
  },
};

function onHandlerError(
  recover: (error: unknown, handler: () => unknown) => unknown,
  caughtBy: readonly string[],
): Mutant {
  const adapter = class extends MemoryHarness {
    override async runHandler(own: Context, span: Span | undefined, handler: () => unknown) {
      try {
        await super.runHandler(own, span, handler);
      } catch (error) {
        await recover(error, handler);
      }
    }
  };
  return { adapter, caughtBy };
}
