import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
} from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import { MemoryHarness, type Message, type Operation } from "./memory-adapter.test-support.js";
import { FAILED_SEND, type Mutant, reported } from "./memory-mutant.test-support.js";

const PROMPT = "a send calls the transport once, and before it returns";
const RAW = createContextKey("@traceferry/testkit headers as they came");

/** On the way out. */
export const outgoingMutants: Readonly<Record<string, Mutant>> = {
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
      override startSpan(is: Operation, parent: Context, links: Link[], attributes: Attributes) {
        return super.startSpan(is, is === "send" ? ROOT_CONTEXT : parent, links, attributes);
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
        enter(own);
        return super.inject(own);
      }
    },
    caughtBy: ["the caller's context is active again after a send"],
  },
  "injects into the caller's headers": {
    adapter: class extends MemoryHarness {
      override write(message: Message, fields: Map<string, string>) {
        message.headers = super.write(message, fields).headers;
        return message;
      }
    },
    caughtBy: ["the caller's message is not changed", "a frozen message can be sent"],
  },
  "gives a message sent twice its first context": {
    adapter: class extends MemoryHarness {
      readonly #sent = new WeakMap<Message, Message>();
      override write(message: Message, fields: Map<string, string>) {
        const written = this.#sent.get(message) ?? super.write(message, fields);
        this.#sent.set(message, written);
        return written;
      }
    },
    caughtBy: [
      "a message sent twice gets a new context each time",
      "a message sent concurrently from two traces gets the context of each",
    ],
  },
  "keeps a stale tracestate": keeping(([key]) => key === "tracestate"),
  "keeps a stale baggage": keeping(([key]) => key === "baggage"),
  "appends beside a stale traceparent": keeping(([key]) => key === "traceparent"),
  "leaves other spellings in place": keeping(
    ([key]) => key === "TRACEPARENT" || key === "TraceParent",
  ),
  "writes Traceparent": {
    adapter: class extends MemoryHarness {
      override inject(own: Context) {
        return new Map([...super.inject(own)].map(([key, value]) => [`T${key.slice(1)}`, value]));
      }
      override write(message: Message, fields: Map<string, string>) {
        return { ...message, headers: [...message.headers, ...fields] };
      }
    },
    caughtBy: ["the traceparent that is sent names the outgoing span"],
  },
  "drops the user's headers": {
    adapter: class extends MemoryHarness {
      override write(message: Message, fields: Map<string, string>) {
        return super.write({ ...message, headers: [] }, fields);
      }
    },
    caughtBy: ["the user's headers are sent as they are without the adapter"],
  },
  "drops one of two headers of one name": {
    adapter: class extends MemoryHarness {
      override write(message: Message, fields: Map<string, string>) {
        const headers = [...new Map(message.headers.map((pair) => [pair[0], pair]))].map(
          ([, pair]) => pair,
        );
        return super.write({ ...message, headers }, fields);
      }
    },
    caughtBy: ["two user headers of one name are both sent"],
  },
  "changes the body": {
    adapter: class extends MemoryHarness {
      override write(message: Message, fields: Map<string, string>) {
        return super.write({ ...message, body: `${message.body} ` }, fields);
      }
    },
    caughtBy: [
      "the user's body is sent as it is without the adapter",
      "with nothing registered a message is sent as it is without the adapter",
      reported("a propagator that throws on inject"),
    ],
  },
  "puts a send off to a later turn of the loop": {
    adapter: class extends MemoryHarness {
      override async sendTo(topic: string, message: Message) {
        await new Promise(setImmediate);
        return super.sendTo(topic, message);
      }
    },
    caughtBy: [PROMPT],
  },
  "awaits something before it sends": {
    adapter: class extends MemoryHarness {
      override async sendTo(topic: string, message: Message) {
        await null;
        return super.sendTo(topic, message);
      }
    },
    caughtBy: [PROMPT],
  },
  "sends a message twice to be sure": {
    adapter: class extends MemoryHarness {
      override write(message: Message, fields: Map<string, string>) {
        const written = super.write(message, fields);
        if (written !== message) this.publish("orders", written);
        return written;
      }
    },
    caughtBy: [PROMPT],
  },
  "strips what it cannot replace": {
    adapter: class extends MemoryHarness {
      override write(message: Message, fields: Map<string, string>) {
        const stripped = super.write(message, new Map([["traceparent", ""]]));
        return super.write({ ...message, headers: stripped.headers.slice(0, -1) }, fields);
      }
    },
    caughtBy: [
      "with nothing registered a message is sent as it is without the adapter",
      "without a tracer provider a message is sent as it is without the adapter",
    ],
  },
  "always writes something": {
    adapter: class extends MemoryHarness {
      override write(message: Message, fields: Map<string, string>) {
        const written = super.write(message, fields);
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
    caughtBy: [FAILED_SEND, reported("a tracer that throws")],
  },
  "knows no budget": {
    adapter: class extends MemoryHarness {
      override trim() {}
    },
    caughtBy: [
      "a tight budget drops baggage first",
      "a tighter budget drops tracestate next",
      "no budget is so tight that traceparent is dropped",
      "by default the fields that are sent are within the adapter's budget",
    ],
  },
  "has a budget that nobody can lift": {
    adapter: class extends MemoryHarness {
      override trim(fields: Map<string, string>, maxBytes: number) {
        super.trim(fields, Math.min(maxBytes, 4096));
      }
    },
    caughtBy: ["a budget without limit lets a large baggage be sent whole"],
  },
  "drops tracestate before baggage": {
    adapter: class extends MemoryHarness {
      override trim(fields: Map<string, string>, maxBytes: number) {
        if (maxBytes < 1000) fields.delete("tracestate");
        super.trim(fields, maxBytes);
      }
    },
    caughtBy: ["a tight budget drops baggage first"],
  },
  "drops traceparent for the budget": {
    adapter: class extends MemoryHarness {
      override trim(fields: Map<string, string>, maxBytes: number) {
        super.trim(fields, maxBytes);
        if (maxBytes < 50) fields.clear();
      }
    },
    caughtBy: ["no budget is so tight that traceparent is dropped"],
  },
  "sends all baggage": {
    adapter: class extends MemoryHarness {
      override inject(own: Context) {
        const fields = new Map<string, string>();
        propagation.inject(own, fields, { set: (to, key, value) => to.set(key, value) });
        this.trim(fields, this.options.maxBytes ?? 4096);
        return fields;
      }
    },
    caughtBy: [
      "with baggage turned off none is sent",
      "an allow-list names the baggage that may be sent",
    ],
  },
  "relays baggage as it came": relayingRaw("baggage", [
    "a megabyte of baggage does no harm",
    "a baggage of many thousand members does no harm",
    "a baggage of 6 kB does no harm",
    "a baggage with a line break does no harm",
    "a baggage with other control characters does no harm",
    "a baggage beyond ASCII does no harm",
  ]),
  "relays tracestate as it came": relayingRaw("tracestate", [
    "a tracestate of a hundred members does no harm",
    "a tracestate with a line break does no harm",
  ]),
  "names spans by itself": {
    adapter: class extends MemoryHarness {
      override end(span: Span | undefined) {
        span?.updateName("memory");
        super.end(span);
      }
    },
    caughtBy: [
      "the incoming span is named as the conventions say",
      "the outgoing span is named as the conventions say",
    ],
  },
  "calls every operation a publish": {
    adapter: class extends MemoryHarness {
      override end(span: Span | undefined) {
        span?.setAttribute("messaging.operation.type", "publish");
        super.end(span);
      }
    },
    caughtBy: [
      "the incoming span is named as the conventions say",
      "the outgoing span is named as the conventions say",
    ],
  },
};

function keeping(keep: (header: readonly [string, string]) => boolean): Mutant {
  const adapter = class extends MemoryHarness {
    override write(message: Message, fields: Map<string, string>) {
      const written = super.write(message, fields);
      return { ...written, headers: [...message.headers.filter(keep), ...written.headers] };
    }
  };
  return { adapter, caughtBy: ["fields of an earlier trace are replaced"] };
}

function relayingRaw(name: string, caughtBy: readonly string[]): Mutant {
  const adapter = class extends MemoryHarness {
    override extract(headers: Headers) {
      const raw = headers.find(([key]) => key === name)?.[1];
      return super.extract(headers).setValue(RAW, raw);
    }
    override inject(own: Context) {
      const fields = super.inject(own);
      const raw = own.getValue(RAW);
      return typeof raw === "string" ? fields.set(name, raw) : fields;
    }
  };
  return { adapter, caughtBy };
}

// No API does this; an adapter that calls `enterWith` on a storage of its own does.
function enter(own: Context): void {
  const manager: unknown = Reflect.apply(Reflect.get(context, "_getContextManager"), context, []);
  if (typeof manager !== "object" || manager === null) return;
  const storage: unknown = Reflect.get(manager, "_asyncLocalStorage");
  if (typeof storage === "object" && storage !== null) {
    Reflect.apply(Reflect.get(storage, "enterWith"), storage, [own]);
  }
}
