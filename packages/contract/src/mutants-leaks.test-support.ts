import type { Context, Span } from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import { MemoryHarness, type Message } from "./memory-adapter.test-support.js";
import type { Mutants } from "./mutant.test-support.js";

const LEAK = "1000 messages leave no span, timer, listener or memory behind";

const leaked = new Set<unknown>();

/** Releases everything that the mutants keep. */
export function releaseLeaked(): void {
  leaked.clear();
}

/** Mutants that leave something behind with each message. Their contract passes 1,000 messages. */
export const leakMutants: Mutants = {
  "adds a listener per message": {
    adapter: class extends MemoryHarness {
      override endSpan(span: Span | undefined) {
        process.setMaxListeners(1000).on("SIGUSR2", () => span);
        super.endSpan(span);
      }
    },
    caughtBy: [LEAK],
    because: /more of process\.on\(SIGUSR2\)/,
  },
  "starts a timer per message": {
    adapter: class extends MemoryHarness {
      override endSpan(span: Span | undefined) {
        setTimeout(() => span, 60_000).unref();
        super.endSpan(span);
      }
    },
    caughtBy: [LEAK],
    because: /more of timers/,
  },
  "keeps each context": {
    adapter: class extends MemoryHarness {
      override contextOf(parent: Context, span: Span | undefined) {
        const own = super.contextOf(parent, span);
        leaked.add(own);
        return own;
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times context/,
  },
  "keeps each span": {
    adapter: class extends MemoryHarness {
      override endSpan(span: Span | undefined) {
        leaked.add(span);
        super.endSpan(span);
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times span/,
  },
  "keeps each message": {
    adapter: class extends MemoryHarness {
      override withFields(message: Message, fields: Map<string, string>) {
        leaked.add(message);
        return super.withFields(message, fields);
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times message/,
  },
  "keeps each handler": {
    adapter: class extends MemoryHarness {
      override runHandler(own: Context, span: Span | undefined, handler: () => unknown) {
        leaked.add(handler);
        return super.runHandler(own, span, handler);
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times handler/,
  },
  "keeps each error": {
    adapter: class extends MemoryHarness {
      override recordError(span: Span | undefined, error: unknown) {
        leaked.add(error);
        super.recordError(span, error);
      }
    },
    caughtBy: [LEAK],
    because: /left in memory: .*times error/,
  },
  "keeps a copy of each message's headers": {
    adapter: class extends MemoryHarness {
      override relate(headers: Headers, extracted: Context) {
        leaked.add(JSON.stringify([headers, headers, headers]));
        return super.relate(headers, extracted);
      }
    },
    caughtBy: [LEAK],
    because: /each message leaves \d+ bytes/,
  },
  "does not end every fiftieth span": {
    adapter: class extends MemoryHarness {
      #count = 0;
      override endSpan(span: Span | undefined) {
        this.#count++;
        if (this.#count % 50 !== 0) super.endSpan(span);
      }
    },
    caughtBy: [LEAK],
    because: /never ended/,
  },
};
