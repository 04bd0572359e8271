import { type Context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import type { Relation } from "./adapter.js";
import { MemoryHarness, type RelatedMessage } from "./memory-adapter.test-support.js";
import {
  CONTINUED,
  IGNORED,
  LINKED,
  type Mutant,
  type Mutants,
  NO_SENDER,
  restartedBy,
} from "./mutant.test-support.js";

/** Mutants of the relation to the sender, and of the coexistence with another instrumentation. */
export const relationMutants: Mutants = {
  "does not link its sender": changingRelated(
    ({ attributes, parent }) => ({ parent, attributes, links: [] }),
    [CONTINUED, LINKED],
  ),
  "does not record the extraction": changingRelated(
    (all) => ({ ...all, attributes: {} }),
    [
      NO_SENDER,
      restartedBy("words"),
      LINKED,
      IGNORED,
      'relation "link" records a missing sender as "missing"',
    ],
  ),
  "continues the sender whatever the relation": changingRelation(() => "child", [LINKED, IGNORED]),
  'links the sender where the relation is "none"': changingRelation(
    (configured) => (configured === "none" ? "link" : configured),
    [IGNORED],
  ),
  'ignores the sender where the relation is "link"': changingRelation(
    (configured) => (configured === "link" ? "none" : configured),
    [LINKED],
  ),
  "ignores a relation function": {
    adapter: class extends MemoryHarness {
      override relation() {
        return typeof this.options.relation === "function" ? "child" : super.relation();
      }
    },
    caughtBy: ['a relation function that returns "link" starts a new trace that links the sender'],
  },
  "takes all baggage into a new trace": {
    adapter: class extends MemoryHarness {
      override newTraceContext(extracted: Context) {
        return trace.deleteSpan(extracted);
      }
    },
    caughtBy: [
      LINKED,
      IGNORED,
      "an allow-list takes its baggage entries into a new trace, and no others",
    ],
  },
  "takes no baggage into a new trace": {
    adapter: class extends MemoryHarness {
      override newTraceContext() {
        return ROOT_CONTEXT;
      }
    },
    caughtBy: ["an allow-list takes its baggage entries into a new trace, and no others"],
  },
  "makes a span beside another instrumentation's": {
    adapter: class extends MemoryHarness {
      override hasSpanInProgress() {
        return false;
      }
    },
    caughtBy: ["a message that another instrumentation has a span for gets no second one"],
  },
  "takes any live span for one of the same message": {
    adapter: class extends MemoryHarness {
      override hasSpanInProgress() {
        return trace.getActiveSpan() !== undefined;
      }
    },
    caughtBy: [`${CONTINUED}, whatever else is active in the process`, NO_SENDER],
  },
};

function changingRelated(
  change: (related: RelatedMessage) => RelatedMessage,
  caughtBy: readonly string[],
): Mutant {
  const adapter = class extends MemoryHarness {
    override relate(headers: Headers, extracted: Context) {
      return change(super.relate(headers, extracted));
    }
  };
  return { adapter, caughtBy };
}

function changingRelation(
  change: (configured: Relation) => Relation,
  caughtBy: readonly string[],
): Mutant {
  const adapter = class extends MemoryHarness {
    override relation() {
      return change(super.relation());
    }
  };
  return { adapter, caughtBy };
}
