import type { Adapter } from "./adapter.js";
import { patched } from "./coexistence.js";
import { naming } from "./conventions.js";
import { counting } from "./counters.js";
import { faults } from "./faults.js";
import type { ContractCase } from "./fixtures.js";
import { seeing } from "./handler-context.js";
import { lasting } from "./leaks.js";
import { limits } from "./limits.js";
import { leaving } from "./outgoing-fields.js";
import { relation } from "./relation.js";
import { failing } from "./span-ends.js";
import { quiet } from "./unregistered.js";
import { continuing } from "./valid-sender.js";

export {
  BROKEN_SENDERS,
  type BrokenSender,
  type Headers,
  type Sender,
  type SenderOptions,
  sender,
} from "@traceferry/testkit";
export type {
  Adapter,
  AdapterOptions,
  DeclaredSpan,
  Harness,
  Relation,
  Sent,
} from "./adapter.js";
export type { ContractCase } from "./fixtures.js";

/**
 * What every adapter promises, as cases for any test runner. Each registers on the OpenTelemetry API what it
 * needs and takes it away again, so they must run one after the other.
 *
 *     for (const { title, run, timeout } of adapterContract(kafka)) test(title, run, timeout);
 *
 * The process must run with `--expose-gc`: what stays in memory is measured.
 */
export function adapterContract(adapter: Adapter): ContractCase[] {
  return [
    ...continuing(adapter),
    ...relation(adapter),
    ...seeing(adapter),
    ...leaving(adapter),
    ...failing(adapter),
    ...quiet(adapter),
    ...faults(adapter),
    ...limits(adapter),
    ...counting(adapter),
    ...lasting(adapter),
    ...naming(adapter),
    ...patched(adapter),
  ];
}
