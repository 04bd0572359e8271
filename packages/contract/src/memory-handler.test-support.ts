import {
  type Attributes,
  type Context,
  context,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
} from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import { MemoryHarness, type Message } from "./memory-adapter.test-support.js";
import {
  CONTINUED,
  FAILED_SEND,
  failing,
  LEAK,
  type Mutant,
  reported,
} from "./memory-mutant.test-support.js";

const COUNTED = [
  "a continued sender is counted",
  "a missing sender is counted",
  "an invalid sender is counted",
  "a linked sender is counted",
  "an ignored sender is counted",
  "a context that was trimmed to the budget is counted",
];

const TOLD_APART = "error.type distinguishes the handler's errors";

const latest = { own: ROOT_CONTEXT };

/** Around the handler. */
export const handlerMutants: Readonly<Record<string, Mutant>> = {
  "calls the handler outside of its context": {
    adapter: class extends MemoryHarness {
      override run(_: Context, span: Span | undefined, handler: () => unknown) {
        return super.run(ROOT_CONTEXT, span, handler);
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
      override async run(own: Context, span: Span | undefined, handler: () => unknown) {
        latest.own = own;
        await new Promise(setImmediate);
        return super.run(latest.own, span, handler);
      }
    },
    caughtBy: ["twenty concurrent messages never see each other's context"],
  },
  "never ends on throw": {
    adapter: class extends MemoryHarness {
      override async run(own: Context, span: Span | undefined, handler: () => unknown) {
        await context.with(own, handler);
        this.end(span);
      }
    },
    caughtBy: [failing("throws"), failing("rejects with nothing")],
  },
  "ends twice": {
    adapter: class extends MemoryHarness {
      override end(span: Span | undefined) {
        super.end(span);
        super.end(span);
      }
    },
    caughtBy: [CONTINUED, failing("throws"), FAILED_SEND],
  },
  "swallows the handler's error": settling(() => undefined, [failing("throws a string")]),
  "wraps the handler's error": settling(
    (cause) => {
      throw new Error("processing failed", { cause });
    },
    [failing("rejects late"), failing("throws a string"), reported("a tracer that throws")],
  ),
  "runs a failed handler again": settling(
    (_, again) => again(),
    [reported("a span that cannot end"), reported("a tracer that throws")],
  ),
  "leaves the status of a failure unset": {
    adapter: class extends MemoryHarness {
      override fail() {}
    },
    caughtBy: [failing("throws"), failing("rejects"), FAILED_SEND],
  },
  "does not name the error": {
    adapter: class extends MemoryHarness {
      override fail(span: Span | undefined) {
        span?.setStatus({ code: SpanStatusCode.ERROR });
      }
    },
    caughtBy: [failing("throws"), failing("throws a string"), FAILED_SEND],
  },
  "names every error the same": {
    adapter: class extends MemoryHarness {
      override fail(span: Span | undefined) {
        super.fail(span, new Error("failed"));
      }
    },
    caughtBy: [TOLD_APART, failing("throws"), failing("throws a string"), FAILED_SEND],
  },
  "calls every error of the handler a RangeError": {
    adapter: class extends MemoryHarness {
      override fail(span: Span | undefined, error: unknown) {
        super.fail(span, error instanceof Error ? new RangeError() : error);
      }
    },
    caughtBy: [TOLD_APART],
  },
  "calls everything an error": {
    adapter: class extends MemoryHarness {
      override end(span: Span | undefined) {
        super.fail(span, "anything");
        super.end(span);
      }
    },
    caughtBy: [
      "a handler that returns leaves the span status unset",
      "a send that succeeds leaves the span status unset",
    ],
  },
  "lets its own errors through": {
    adapter: class extends MemoryHarness {
      override guard<Result>(step: () => Result) {
        return step();
      }
    },
    caughtBy: [
      reported("a tracer provider that throws"),
      reported("a tracer that throws"),
      reported("a span whose every method throws"),
      reported("a span that cannot end"),
      reported("a propagator that throws on extract"),
      reported("a propagator that throws on inject"),
      reported("a relation function that throws"),
    ],
  },
  "trusts a propagator to know its fields": {
    adapter: class extends MemoryHarness {
      override inject(own: Context) {
        this.options.propagator?.fields();
        return super.inject(own);
      }
    },
    caughtBy: [reported("a propagator that throws when asked for its fields")],
  },
  "reports nothing": {
    adapter: class extends MemoryHarness {
      override report() {}
    },
    caughtBy: [
      reported("a tracer provider that throws"),
      reported("a tracer that throws"),
      reported("a span that cannot end"),
      reported("a propagator that throws on extract"),
      reported("a propagator that throws on inject"),
      reported("a relation function that throws"),
    ],
  },
  "counts no faults": {
    adapter: class extends MemoryHarness {
      override report(error: unknown) {
        diag.warn(`memory: ${String(error)}`);
      }
    },
    caughtBy: [reported("a tracer that throws"), reported("a relation function that throws")],
  },
  "fails when it cannot count": {
    adapter: class extends MemoryHarness {
      override end(span: Span | undefined) {
        this.options.meterProvider?.getMeter("memory");
        super.end(span);
      }
    },
    caughtBy: ["a meter provider that throws harms no message"],
  },
  "counts every message twice": {
    adapter: class extends MemoryHarness {
      override count(what: "extractions" | "injections" | "faults", attributes: Attributes) {
        super.count(what, attributes);
        super.count(what, attributes);
      }
    },
    caughtBy: [...COUNTED, "a send is counted once"],
  },
  "counts nothing": {
    adapter: class extends MemoryHarness {
      override count() {}
    },
    caughtBy: [...COUNTED, "a send is counted once"],
  },
  "adds a listener per message": {
    adapter: class extends MemoryHarness {
      override end(span: Span | undefined) {
        process.setMaxListeners(1000).on("SIGUSR2", () => span);
        super.end(span);
      }
    },
    caughtBy: [LEAK],
    because: /more of process\.on\(SIGUSR2\)/,
  },
  "starts a timer per message": {
    adapter: class extends MemoryHarness {
      override end(span: Span | undefined) {
        setTimeout(() => span, 60_000).unref();
        super.end(span);
      }
    },
    caughtBy: [LEAK],
    because: /more of timers/,
  },
  "keeps each context": {
    adapter: class extends MemoryHarness {
      override contextOf(parent: Context, span: Span | undefined) {
        const own = super.contextOf(parent, span);
        kept.add(own);
        return own;
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times context/,
  },
  "keeps each span": {
    adapter: class extends MemoryHarness {
      override end(span: Span | undefined) {
        kept.add(span);
        super.end(span);
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times span/,
  },
  "keeps each message": {
    adapter: class extends MemoryHarness {
      override write(message: Message, fields: Map<string, string>) {
        kept.add(message);
        return super.write(message, fields);
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times message/,
  },
  "keeps each handler": {
    adapter: class extends MemoryHarness {
      override run(own: Context, span: Span | undefined, handler: () => unknown) {
        kept.add(handler);
        return super.run(own, span, handler);
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times handler/,
  },
  "keeps each error": {
    adapter: class extends MemoryHarness {
      override fail(span: Span | undefined, error: unknown) {
        kept.add(error);
        super.fail(span, error);
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times error/,
  },
  "keeps what it knows of each message": {
    adapter: class extends MemoryHarness {
      override relate(headers: Headers, extracted: Context) {
        kept.add(JSON.stringify([headers, headers, headers]));
        return super.relate(headers, extracted);
      }
    },
    caughtBy: [LEAK],
    because: /each message leaves \d+ bytes/,
  },
  "forgets to end a span now and then": {
    adapter: class extends MemoryHarness {
      #count = 0;
      override end(span: Span | undefined) {
        this.#count++;
        if (this.#count % 50 !== 0) super.end(span);
      }
    },
    caughtBy: [LEAK],
    because: /never ended/,
  },
};

// What is kept for good.
const kept = new Set<unknown>();

/** Forgets what the mutants keep. */
export function forget(): void {
  kept.clear();
}

function settling(
  settle: (error: unknown, again: () => unknown) => unknown,
  caughtBy: readonly string[],
): Mutant {
  const adapter = class extends MemoryHarness {
    override async run(own: Context, span: Span | undefined, handler: () => unknown) {
      try {
        await super.run(own, span, handler);
      } catch (error) {
        await settle(error, handler);
      }
    }
  };
  return { adapter, caughtBy };
}
