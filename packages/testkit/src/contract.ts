import type { Adapter } from "./contract/adapter.js";
import type { ContractCase } from "./contract/bench.js";
import { continuing } from "./contract/continuing.js";
import { counting } from "./contract/counting.js";
import { failing } from "./contract/failing.js";
import { faults } from "./contract/faults.js";
import { lasting } from "./contract/lasting.js";
import { leaving } from "./contract/leaving.js";
import { limits } from "./contract/limits.js";
import { naming } from "./contract/naming.js";
import { patched } from "./contract/patched.js";
import { quiet } from "./contract/quiet.js";
import { relation } from "./contract/relation.js";
import { seeing } from "./contract/seeing.js";

export type {
  Adapter,
  AdapterOptions,
  DeclaredSpan,
  Harness,
  Relation,
  Sent,
} from "./contract/adapter.js";
export type { ContractCase } from "./contract/bench.js";
export {
  type BrokenSender,
  brokenSenders,
  type Headers,
  type Sender,
  type SenderOptions,
  sender,
} from "./senders.js";

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
