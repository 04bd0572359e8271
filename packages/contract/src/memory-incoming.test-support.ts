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
import type { Relation } from "./adapter.js";
import { MemoryHarness, type Operation } from "./memory-adapter.test-support.js";
import {
  CONTINUED,
  KEPT,
  LINK,
  type Mutant,
  NO_SENDER,
  NONE,
  restarts,
} from "./memory-mutant.test-support.js";

const INVENTED = "b7ad6b7169203331";

/** On the way in. */
export const incomingMutants: Readonly<Record<string, Mutant>> = {
  "reads no more than eight headers": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        return super.extract(headers.slice(0, 8));
      }
    },
    caughtBy: ["a sender behind twenty other headers is continued"],
  },
  "extracts onto the active context": {
    adapter: class extends MemoryHarness {
      override base() {
        return context.active();
      }
    },
    caughtBy: [NO_SENDER, restarts("words")],
  },
  "makes its spans children of what is active": {
    adapter: class extends MemoryHarness {
      override startSpan(is: Operation, parent: Context, links: Link[], attributes: Attributes) {
        const active = trace.getActiveSpan();
        return super.startSpan(is, this.contextOf(parent, active), links, attributes);
      }
    },
    caughtBy: [`${CONTINUED}, whatever else is active in the process`, restarts("a zero trace id")],
  },
  "takes the sender for a local span": changingSender(
    (sender) => ({ ...sender, isRemote: false }),
    [CONTINUED],
  ),
  "invents a parent": changingSender(
    (sender) => ({ ...sender, spanId: INVENTED }),
    [CONTINUED, "without a tracer provider the sender's context is relayed unchanged"],
  ),
  "samples everything": changingSender(
    (sender) => ({ ...sender, traceFlags: 1 }),
    [
      "an unsampled sender is not recorded here and stays unsampled at the next hop",
      "without a tracer provider an unsampled sender's context is relayed unchanged",
    ],
  ),
  "forgets tracestate": changingSender(
    ({ traceId, spanId, traceFlags }) => {
      return { traceId, spanId, traceFlags, isRemote: true };
    },
    [KEPT],
  ),
  "forgets baggage": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        return propagation.deleteBaggage(super.extract(headers));
      }
    },
    caughtBy: [KEPT],
  },
  "rebuilds the context from the root": {
    adapter: class extends MemoryHarness {
      override contextOf(_: Context, span: Span | undefined) {
        return super.contextOf(ROOT_CONTEXT, span);
      }
    },
    caughtBy: [CONTINUED, "the sender's flags reach the next hop as the propagator keeps them"],
  },
  "does not link its sender": relating(
    ({ attributes, parent }) => ({ parent, attributes, links: [] }),
    [CONTINUED, LINK],
  ),
  "does not say what became of the sender": relating(
    (all) => ({ ...all, attributes: {} }),
    [
      NO_SENDER,
      restarts("words"),
      LINK,
      NONE,
      'relation "link" records a missing sender as "missing"',
    ],
  ),
  "reads lower-case names only": {
    adapter: class extends MemoryHarness {
      override fold(key: string) {
        return key;
      }
    },
    caughtBy: ["a sender with upper-case header names is continued"],
  },
  "guesses at field names": {
    adapter: class extends MemoryHarness {
      override fold(key: string) {
        return super.fold(key).replace("trace-parent", "traceparent");
      }
    },
    caughtBy: ["a message with a header named trace-parent starts a new trace"],
  },
  "reads leniently": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        return super.extract(headers.map(([key, value]) => [key, mended(value)]));
      }
    },
    caughtBy: [
      restarts("an upper-case trace id"),
      restarts("version ff"),
      restarts("more behind the flags"),
      restarts("a line break behind it"),
      restarts("underscores between the fields"),
      restarts("two traceparents in one field"),
    ],
  },
  "takes the first of several senders": {
    adapter: class extends MemoryHarness {
      override both(earlier: string) {
        return earlier;
      }
    },
    caughtBy: [restarts("two traceparents")],
  },
  "takes the last of several senders": {
    adapter: class extends MemoryHarness {
      override both(_: string, later: string) {
        return later;
      }
    },
    caughtBy: [restarts("two traceparents")],
  },
  "gives up a trace for its tracestate": {
    adapter: class extends MemoryHarness {
      override extract(headers: Headers) {
        const extracted = super.extract(headers);
        const told = headers.some(([key]) => key === "tracestate");
        return told && !trace.getSpanContext(extracted)?.traceState ? ROOT_CONTEXT : extracted;
      }
    },
    caughtBy: [
      "a tracestate of a hundred members does no harm",
      "a tracestate with a line break does no harm",
    ],
  },
  "trusts percent-encoding": {
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
  "trips over a header named __proto__": {
    adapter: class extends MemoryHarness {
      override fold(key: string) {
        if (key in {}) throw new TypeError(`illegal header: ${key}`);
        return super.fold(key);
      }
    },
    caughtBy: ["a header named __proto__ does no harm"],
  },
  "continues whatever the relation": answering(() => "child", [LINK, NONE]),
  "links where it should forget": answering((asked) => (asked === "none" ? "link" : asked), [NONE]),
  "forgets where it should link": answering((asked) => (asked === "link" ? "none" : asked), [LINK]),
  "takes no functions": {
    adapter: class extends MemoryHarness {
      override relation() {
        return typeof this.options.relation === "function" ? "child" : super.relation();
      }
    },
    caughtBy: ['a relation function that returns "link" starts a new trace that links the sender'],
  },
  "takes all baggage into a new trace": {
    adapter: class extends MemoryHarness {
      override allowed(extracted: Context) {
        return trace.deleteSpan(extracted);
      }
    },
    caughtBy: [
      LINK,
      NONE,
      "an allow-list takes its baggage entries into a new trace, and no others",
    ],
  },
  "takes no baggage into a new trace": {
    adapter: class extends MemoryHarness {
      override allowed() {
        return ROOT_CONTEXT;
      }
    },
    caughtBy: ["an allow-list takes its baggage entries into a new trace, and no others"],
  },
  "makes a span beside somebody else's": {
    adapter: class extends MemoryHarness {
      override patched() {
        return false;
      }
    },
    caughtBy: ["a message that another instrumentation has a span for gets no second one"],
  },
  "takes any live span for one of this message": {
    adapter: class extends MemoryHarness {
      override patched() {
        return trace.getActiveSpan() !== undefined;
      }
    },
    caughtBy: [`${CONTINUED}, whatever else is active in the process`, NO_SENDER],
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

interface Related {
  readonly parent: Context;
  readonly links: Link[];
  readonly attributes: Attributes;
}

function relating(change: (related: Related) => Related, caughtBy: readonly string[]): Mutant {
  const adapter = class extends MemoryHarness {
    override relate(headers: Headers, extracted: Context) {
      return change(super.relate(headers, extracted));
    }
  };
  return { adapter, caughtBy };
}

function answering(answer: (asked: Relation) => Relation, caughtBy: readonly string[]): Mutant {
  const adapter = class extends MemoryHarness {
    override relation() {
      return answer(super.relation());
    }
  };
  return { adapter, caughtBy };
}

function mended(value: string): string {
  const found = /([0-9a-f]{32})[-_]([0-9a-f]{16})/i.exec(value);
  return found ? `00-${found[1]}-${found[2]}-01`.toLowerCase() : value;
}
