import {
  type Attributes,
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
} from "@opentelemetry/api";
import { MemoryHarness, type Message } from "./memory-adapter.test-support.js";
import type { Operation } from "./memory-instrumentation.test-support.js";
import { FAILED_SEND, type Mutant, type Mutants, reportedFault } from "./mutant.test-support.js";

const SENT_ONCE = "a send calls the transport once, and before it returns";

/** Mutants of what is sent, and of the spans around it. */
export const outgoingMutants: Mutants = {
  "injects the caller's span": {
    adapter: class extends MemoryHarness {
      override inject() {
        return super.inject(context.active());
      }
    },
    caughtBy: [
      "the traceparent that is sent names the outgoing span",
      "a send outside of any trace starts one",
    ],
  },
  "starts its own trace at every send": {
    adapter: class extends MemoryHarness {
      override startSpan(
        operation: Operation,
        parent: Context,
        links: Link[],
        attributes: Attributes,
      ) {
        return super.startSpan(
          operation,
          operation === "send" ? ROOT_CONTEXT : parent,
          links,
          attributes,
        );
      }
    },
    caughtBy: [
      "the traceparent that is sent names the outgoing span",
      "a message that the handler sends continues the sender's trace",
    ],
  },
  "stays in the span's context after a send": {
    adapter: class extends MemoryHarness {
      override inject(own: Context) {
        enterContext(own);
        return super.inject(own);
      }
    },
    caughtBy: ["the caller's context is active again after a send"],
  },
  "injects into the caller's headers": {
    adapter: class extends MemoryHarness {
      override withFields(message: Message, fields: Map<string, string>) {
        message.headers = super.withFields(message, fields).headers;
        return message;
      }
    },
    caughtBy: ["the caller's message is not changed", "a frozen message can be sent"],
  },
  "sends a message's first context again": {
    adapter: class extends MemoryHarness {
      readonly #sent = new WeakMap<Message, Message>();
      override withFields(message: Message, fields: Map<string, string>) {
        const written = this.#sent.get(message) ?? super.withFields(message, fields);
        this.#sent.set(message, written);
        return written;
      }
    },
    caughtBy: [
      "a message sent twice gets a new context each time",
      "a message sent concurrently from two traces gets the context of each",
    ],
  },
  "keeps a stale tracestate": keepingStale(([key]) => key === "tracestate"),
  "keeps a stale baggage": keepingStale(([key]) => key === "baggage"),
  "keeps a stale traceparent": keepingStale(([key]) => key === "traceparent"),
  "keeps stale fields in other spellings": keepingStale(
    ([key]) => key === "TRACEPARENT" || key === "TraceParent",
  ),
  "writes header names in title case": {
    adapter: class extends MemoryHarness {
      override inject(own: Context) {
        return new Map([...super.inject(own)].map(([key, value]) => [`T${key.slice(1)}`, value]));
      }
      override withFields(message: Message, fields: Map<string, string>) {
        return { ...message, headers: [...message.headers, ...fields] };
      }
    },
    caughtBy: ["the traceparent that is sent names the outgoing span"],
  },
  "drops the user's headers": {
    adapter: class extends MemoryHarness {
      override withFields(message: Message, fields: Map<string, string>) {
        return super.withFields({ ...message, headers: [] }, fields);
      }
    },
    caughtBy: ["the user's headers are sent as they are without the adapter"],
  },
  "drops one of two headers of one name": {
    adapter: class extends MemoryHarness {
      override withFields(message: Message, fields: Map<string, string>) {
        const headers = [...new Map(message.headers.map((pair) => [pair[0], pair]))].map(
          ([, pair]) => pair,
        );
        return super.withFields({ ...message, headers }, fields);
      }
    },
    caughtBy: ["two user headers of one name are both sent"],
  },
  "changes the body": {
    adapter: class extends MemoryHarness {
      override withFields(message: Message, fields: Map<string, string>) {
        return super.withFields({ ...message, body: `${message.body} ` }, fields);
      }
    },
    caughtBy: [
      "the user's body is sent as it is without the adapter",
      "with nothing registered a message is sent as it is without the adapter",
      reportedFault("a propagator that throws on inject"),
    ],
  },
  "defers a send to a later turn of the event loop": {
    adapter: class extends MemoryHarness {
      override async sendTo(topic: string, message: Message) {
        await new Promise(setImmediate);
        return super.sendTo(topic, message);
      }
    },
    caughtBy: [SENT_ONCE],
  },
  "awaits a resolved promise before it sends": {
    adapter: class extends MemoryHarness {
      override async sendTo(topic: string, message: Message) {
        await null;
        return super.sendTo(topic, message);
      }
    },
    caughtBy: [SENT_ONCE],
  },
  "sends every message twice": {
    adapter: class extends MemoryHarness {
      override withFields(message: Message, fields: Map<string, string>) {
        const written = super.withFields(message, fields);
        if (written !== message) this.publish("orders", written);
        return written;
      }
    },
    caughtBy: [SENT_ONCE],
  },
  "removes stale fields where there is nothing to inject": {
    adapter: class extends MemoryHarness {
      override withFields(message: Message, fields: Map<string, string>) {
        const stripped = super.withFields(message, new Map([["traceparent", ""]]));
        return super.withFields({ ...message, headers: stripped.headers.slice(0, -1) }, fields);
      }
    },
    caughtBy: [
      "with nothing registered a message is sent as it is without the adapter",
      "without a tracer provider a message is sent as it is without the adapter",
    ],
  },
  "writes an empty tracestate where there is nothing to inject": {
    adapter: class extends MemoryHarness {
      override withFields(message: Message, fields: Map<string, string>) {
        const written = super.withFields(message, fields);
        return written === message
          ? { ...message, headers: [...message.headers, ["tracestate", ""] as const] }
          : written;
      }
    },
    caughtBy: [
      "with nothing registered a message is sent as it is without the adapter",
      "with nothing registered the handler runs, and its messages are sent unchanged",
      "without a tracer provider a message is sent as it is without the adapter",
      "with neither a tracer provider nor a sender the handler's messages are sent unchanged",
    ],
  },
  "never ends the span of a failed send": {
    adapter: class extends MemoryHarness {
      override async sendTo(topic: string, message: Message) {
        if (topic === "nowhere") this.startSpan("send", context.active(), [], {});
        return super.sendTo(topic, message);
      }
    },
    caughtBy: [FAILED_SEND],
  },
  "swallows the error of a send": {
    adapter: class extends MemoryHarness {
      override sendTo(topic: string, message: Message) {
        return super.sendTo(topic, message).catch(() => ({ headers: [], body: "" }));
      }
    },
    caughtBy: [FAILED_SEND, reportedFault("a tracer that throws")],
  },
  "renames its spans": {
    adapter: class extends MemoryHarness {
      override endSpan(span: Span | undefined) {
        span?.updateName("memory");
        super.endSpan(span);
      }
    },
    caughtBy: [
      "the incoming span is named as the conventions say",
      "the outgoing span is named as the conventions say",
    ],
  },
  "declares every operation a publish": {
    adapter: class extends MemoryHarness {
      override endSpan(span: Span | undefined) {
        span?.setAttribute("messaging.operation.type", "publish");
        super.endSpan(span);
      }
    },
    caughtBy: [
      "the incoming span is named as the conventions say",
      "the outgoing span is named as the conventions say",
    ],
  },
};

function keepingStale(isKept: (header: readonly [string, string]) => boolean): Mutant {
  const adapter = class extends MemoryHarness {
    override withFields(message: Message, fields: Map<string, string>) {
      const written = super.withFields(message, fields);
      return { ...written, headers: [...message.headers.filter(isKept), ...written.headers] };
    }
  };
  return { adapter, caughtBy: ["fields of an earlier trace are replaced"] };
}

// Does what `enterWith` does on a storage of an adapter's own. The API has no such call.
function enterContext(own: Context): void {
  const manager: unknown = Reflect.apply(Reflect.get(context, "_getContextManager"), context, []);
  if (typeof manager !== "object" || manager === null) return;
  const storage: unknown = Reflect.get(manager, "_asyncLocalStorage");
  if (typeof storage === "object" && storage !== null) {
    Reflect.apply(Reflect.get(storage, "enterWith"), storage, [own]);
  }
}
