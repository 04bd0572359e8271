import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  trace,
} from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import { MemoryHarness } from "./memory-adapter.test-support.js";
import type { Operation } from "./memory-instrumentation.test-support.js";
import {
  CONTINUED,
  type Mutant,
  type Mutants,
  NO_SENDER,
  restartedBy,
  STATE_AND_BAGGAGE_KEPT,
} from "./mutant.test-support.js";

const OTHER_SPAN_ID = "b7ad6b7169203331";

/** Mutants of extraction, and of the parent that the incoming span gets. */
export const incomingMutants: Mutants = {
  "reads no more than eight headers": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        return super.extract(headers.slice(0, 8));
      }
    },
    caughtBy: ["a sender behind twenty other headers is continued"],
  },
  "extracts into the active context": {
    adapter: class extends MemoryHarness {
      override baseContext() {
        return context.active();
      }
    },
    caughtBy: [NO_SENDER, restartedBy("words")],
  },
  "makes its spans children of the active span": {
    adapter: class extends MemoryHarness {
      override startSpan(
        operation: Operation,
        parent: Context,
        links: Link[],
        attributes: Attributes,
      ) {
        const active = trace.getActiveSpan();
        return super.startSpan(operation, this.contextOf(parent, active), links, attributes);
      }
    },
    caughtBy: [
      `${CONTINUED}, whatever else is active in the process`,
      restartedBy("a zero trace id"),
    ],
  },
  "does not mark the sender as remote": changingSender(
    (sender) => ({ ...sender, isRemote: false }),
    [CONTINUED],
  ),
  "changes the sender's span id": changingSender(
    (sender) => ({ ...sender, spanId: OTHER_SPAN_ID }),
    [CONTINUED, "without a tracer provider the sender's context is relayed unchanged"],
  ),
  "marks every sender as sampled": changingSender(
    (sender) => ({ ...sender, traceFlags: 1 }),
    [
      "an unsampled sender is not recorded here and stays unsampled at the next hop",
      "without a tracer provider an unsampled sender's context is relayed unchanged",
    ],
  ),
  "drops the sender's tracestate": changingSender(
    ({ traceId, spanId, traceFlags }) => {
      return { traceId, spanId, traceFlags, isRemote: true };
    },
    [STATE_AND_BAGGAGE_KEPT],
  ),
  "drops the sender's baggage": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        return propagation.deleteBaggage(super.extract(headers));
      }
    },
    caughtBy: [STATE_AND_BAGGAGE_KEPT],
  },
  "rebuilds the context from the root": {
    adapter: class extends MemoryHarness {
      override contextOf(_: Context, span: Span | undefined) {
        return super.contextOf(ROOT_CONTEXT, span);
      }
    },
    caughtBy: [CONTINUED, "the sender's flags reach the next hop as the propagator keeps them"],
  },
  "reads lower-case names only": {
    adapter: class extends MemoryHarness {
      override normalizeName(key: string) {
        return key;
      }
    },
    caughtBy: ["a sender with upper-case header names is continued"],
  },
  "reads trace-parent as traceparent": {
    adapter: class extends MemoryHarness {
      override normalizeName(key: string) {
        return super.normalizeName(key).replace("trace-parent", "traceparent");
      }
    },
    caughtBy: ["a message with a header named trace-parent starts a new trace"],
  },
  "reads leniently": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        return super.extract(headers.map(([key, value]) => [key, lenientTraceparent(value)]));
      }
    },
    caughtBy: [
      restartedBy("an upper-case trace id"),
      restartedBy("version ff"),
      restartedBy("more behind the flags"),
      restartedBy("a line break behind it"),
      restartedBy("underscores between the fields"),
      restartedBy("two traceparents in one field"),
    ],
  },
  "takes the first of several senders": {
    adapter: class extends MemoryHarness {
      override combineValues(earlier: string) {
        return earlier;
      }
    },
    caughtBy: [restartedBy("two traceparents")],
  },
  "takes the last of several senders": {
    adapter: class extends MemoryHarness {
      override combineValues(_: string, later: string) {
        return later;
      }
    },
    caughtBy: [restartedBy("two traceparents")],
  },
  "drops the sender for an invalid tracestate": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        const extracted = super.extract(headers);
        const hasState = headers.some(([key]) => key === "tracestate");
        return hasState && !trace.getSpanContext(extracted)?.traceState ? ROOT_CONTEXT : extracted;
      }
    },
    caughtBy: [
      "a tracestate of a hundred members does no harm",
      "a tracestate with a line break does no harm",
    ],
  },
  "decodes percent-encoding without care for errors": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        for (const [, value] of headers) decodeURIComponent(value);
        return super.extract(headers);
      }
    },
    caughtBy: ["a malformed baggage does no harm"],
  },
  "collects baggage in a plain object": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        const entries: Record<string, { seen?: string }> = {};
        for (const [key, value] of headers) {
          const [name = "", of = ""] = key === "baggage" ? value.split(/[=,]/) : [];
          entries[name] ??= {};
          Object.assign(entries[name], { seen: of });
        }
        return super.extract(headers);
      }
    },
    caughtBy: ["a baggage that names __proto__ does no harm"],
  },
  "throws at a header named __proto__": {
    adapter: class extends MemoryHarness {
      override normalizeName(key: string) {
        if (key in {}) throw new TypeError(`illegal header: ${key}`);
        return super.normalizeName(key);
      }
    },
    caughtBy: ["a header named __proto__ does no harm"],
  },
};

function changingSender(
  change: (sender: SpanContext) => SpanContext,
  caughtBy: readonly string[],
): Mutant {
  const adapter = class extends MemoryHarness {
    override extract(headers: Headers) {
      const extracted = super.extract(headers);
      const sender = trace.getSpanContext(extracted);
      return sender === undefined ? extracted : trace.setSpanContext(extracted, change(sender));
    }
  };
  return { adapter, caughtBy };
}

function lenientTraceparent(value: string): string {
  const found = /([0-9a-f]{32})[-_]([0-9a-f]{16})/i.exec(value);
  return found ? `00-${found[1]}-${found[2]}-01`.toLowerCase() : value;
}
