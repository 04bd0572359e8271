import { type Attributes, type Context, diag, type Span } from "@opentelemetry/api";
import { MemoryHarness } from "./memory-adapter.test-support.js";
import type { Counter } from "./memory-instrumentation.test-support.js";
import { type Mutants, reportedFault } from "./mutant.test-support.js";

const COUNTED = [
  "a continued sender is counted",
  "a missing sender is counted",
  "an invalid sender is counted",
  "a linked sender is counted",
  "an ignored sender is counted",
  "a context that was trimmed to the budget is counted",
  "a send is counted once",
];

/** Mutants of the adapter's own faults: what guards, reports and counts them. */
export const faultMutants: Mutants = {
  "throws its own errors into the caller": {
    adapter: class extends MemoryHarness {
      override guard<Result>(step: () => Result) {
        return step();
      }
    },
    caughtBy: [
      reportedFault("a tracer provider that throws"),
      reportedFault("a tracer that throws"),
      reportedFault("a span whose every method throws"),
      reportedFault("a span that cannot end"),
      reportedFault("a propagator that throws on extract"),
      reportedFault("a propagator that throws on inject"),
      reportedFault("a relation function that throws"),
    ],
  },
  "does not guard a call of the propagator's fields": {
    adapter: class extends MemoryHarness {
      override inject(own: Context) {
        this.options.propagator?.fields();
        return super.inject(own);
      }
    },
    caughtBy: [reportedFault("a propagator that throws when asked for its fields")],
  },
  "reports nothing": {
    adapter: class extends MemoryHarness {
      override report() {}
    },
    caughtBy: [
      reportedFault("a tracer provider that throws"),
      reportedFault("a tracer that throws"),
      reportedFault("a span that cannot end"),
      reportedFault("a propagator that throws on extract"),
      reportedFault("a propagator that throws on inject"),
      reportedFault("a relation function that throws"),
    ],
  },
  "counts no faults": {
    adapter: class extends MemoryHarness {
      override report(error: unknown) {
        diag.warn(`memory: ${String(error)}`);
      }
    },
    caughtBy: [
      reportedFault("a tracer that throws"),
      reportedFault("a relation function that throws"),
    ],
  },
  "does not guard a call of the meter provider": {
    adapter: class extends MemoryHarness {
      override endSpan(span: Span | undefined) {
        this.options.meterProvider?.getMeter("memory");
        super.endSpan(span);
      }
    },
    caughtBy: ["a meter provider that throws harms no message"],
  },
  "counts every message twice": {
    adapter: class extends MemoryHarness {
      override count(counter: Counter, attributes: Attributes) {
        super.count(counter, attributes);
        super.count(counter, attributes);
      }
    },
    caughtBy: COUNTED,
  },
  "counts nothing": {
    adapter: class extends MemoryHarness {
      override count() {}
    },
    caughtBy: COUNTED,
  },
};
