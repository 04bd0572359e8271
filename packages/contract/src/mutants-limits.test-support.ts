import { type Context, createContextKey, propagation } from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import { MemoryHarness } from "./memory-adapter.test-support.js";
import type { Mutant, Mutants } from "./mutant.test-support.js";

const RAW_HEADER = createContextKey("@traceferry/contract raw header");

/** Mutants of the outgoing budget, of the option `baggage`, and of how hostile headers are sent on. */
export const limitMutants: Mutants = {
  "ignores the budget": {
    adapter: class extends MemoryHarness {
      override trimToBudget() {}
    },
    caughtBy: [
      "a tight budget drops baggage first",
      "a tighter budget drops tracestate next",
      "no budget is so tight that traceparent is dropped",
      "by default the fields that are sent are within the adapter's budget",
    ],
  },
  "allows no budget above 4096 bytes": {
    adapter: class extends MemoryHarness {
      override trimToBudget(fields: Map<string, string>, maxBytes: number) {
        super.trimToBudget(fields, Math.min(maxBytes, 4096));
      }
    },
    caughtBy: ["a budget without limit lets a large baggage be sent whole"],
  },
  "drops tracestate before baggage": {
    adapter: class extends MemoryHarness {
      override trimToBudget(fields: Map<string, string>, maxBytes: number) {
        if (maxBytes < 1000) fields.delete("tracestate");
        super.trimToBudget(fields, maxBytes);
      }
    },
    caughtBy: ["a tight budget drops baggage first"],
  },
  "drops traceparent for the budget": {
    adapter: class extends MemoryHarness {
      override trimToBudget(fields: Map<string, string>, maxBytes: number) {
        super.trimToBudget(fields, maxBytes);
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
        this.trimToBudget(fields, this.options.maxBytes ?? 4096);
        return fields;
      }
    },
    caughtBy: [
      "with baggage turned off none is sent",
      "an allow-list names the baggage that may be sent",
    ],
  },
  "relays the raw baggage header": relayingRaw("baggage", [
    "a megabyte of baggage does no harm",
    "a baggage of many thousand members does no harm",
    "a baggage of 6 kB does no harm",
    "a baggage with a line break does no harm",
    "a baggage with other control characters does no harm",
    "a baggage beyond ASCII does no harm",
  ]),
  "relays the raw tracestate header": relayingRaw("tracestate", [
    "a tracestate of a hundred members does no harm",
    "a tracestate with a line break does no harm",
  ]),
};

function relayingRaw(name: string, caughtBy: readonly string[]): Mutant {
  const adapter = class extends MemoryHarness {
    override extract(headers: Headers) {
      const raw = headers.find(([key]) => key === name)?.[1];
      return super.extract(headers).setValue(RAW_HEADER, raw);
    }
    override inject(own: Context) {
      const fields = super.inject(own);
      const raw = own.getValue(RAW_HEADER);
      return typeof raw === "string" ? fields.set(name, raw) : fields;
    }
  };
  return { adapter, caughtBy };
}
