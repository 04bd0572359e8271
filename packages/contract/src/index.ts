import type { Adapter } from "./adapter.js";
import { coexistence } from "./coexistence.js";
import { conventions } from "./conventions.js";
import { counters } from "./counters.js";
import { faults } from "./faults.js";
import type { ContractCase } from "./fixtures.js";
import { handlerContext } from "./handler-context.js";
import { leaks } from "./leaks.js";
import { limits } from "./limits.js";
import { outgoingFields } from "./outgoing-fields.js";
import { relation } from "./relation.js";
import { spanEnds } from "./span-ends.js";
import { unregistered } from "./unregistered.js";
import { validSender } from "./valid-sender.js";

/**
 * Makes the cases that every adapter must pass, for any test runner. Each registers on the OpenTelemetry API what it
 * needs and unregisters it again, so they must run one after the other.
 *
 *     for (const { title, run, timeout } of adapterContract(kafka)) test(title, run, timeout);
 *
 * The process must run with `--expose-gc`, because memory is measured.
 */
export function adapterContract(adapter: Adapter): ContractCase[] {
  // index.test.ts proves that each case can fail: for every promise there is a mutant that breaks it.
  return [
    ...validSender(adapter),
    ...relation(adapter),
    ...handlerContext(adapter),
    ...outgoingFields(adapter),
    ...spanEnds(adapter),
    ...unregistered(adapter),
    ...faults(adapter),
    ...limits(adapter),
    ...counters(adapter),
    ...leaks(adapter),
    ...conventions(adapter),
    ...coexistence(adapter),
  ];
}

// For authors of adapters: what `adapterContract` takes, and what it returns.

export type {
  Adapter,
  AdapterOptions,
  DeclaredSpan,
  Harness,
  Relation,
  SentMessage,
} from "./adapter.js";
export type { ContractCase } from "./fixtures.js";
