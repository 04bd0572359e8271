import { startReceiver } from "@traceferry/testkit";
import type { Span } from "@traceferry/traces";
import { summarize } from "../demo/summary.js";
import type { Engines } from "../engines/index.js";
import type { ChatAnswer } from "../system/chat.js";
import { expectedTrace, startTopology } from "../topology/index.js";
import type { Implementations } from "../topology/roles.js";

/** The result of one system. */
export interface Result {
  readonly name: string;
  /** The implementation of each role. */
  readonly implementations: Implementations;
  /** Requests that got a reply. */
  readonly answered: number;
  /** Requests with an unbroken trace. */
  readonly whole: number;
  readonly orphans: number;
  /** All traces that arrived, unbroken or not. */
  readonly traces: number;
  /** Spans of the application that a trace has too many or too few, because they are in the trace of another request. */
  readonly falseParents: number;
  readonly spans: number;
  readonly requestsPerSecond: number;
  /** From the end of a span to its arrival. */
  readonly spanToReceivedMs: { readonly p50: number; readonly p99: number };
  readonly rssMb: number;
}

/** The system to measure. */
export interface MeasuredSystem {
  readonly name: string;
  readonly implementations: Implementations;
  readonly engines: Engines;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The number of requests that are sent first and not counted, to open connections and to warm up V8 and the JVM. */
export const WARM_UP = 200;

/** Starts one system, sends requests to its gateway, and evaluates all traces. */
export async function measure(
  { name, implementations, engines, log, signal }: MeasuredSystem,
  requests: number,
  send: (gatewayUrl: string, requests: number) => Promise<ChatAnswer[]>,
): Promise<Result> {
  await using receiver = await startReceiver();
  const otlpUrl = receiver.httpUrl;
  await using topology = await startTopology({ engines, otlpUrl, implementations, log, signal });
  const sendAll = (count: number): Promise<ChatAnswer[]> =>
    Promise.race([send(topology.gatewayUrl, count), topology.failure]);
  const quiet = {
    services: [...expectedTrace(implementations).services],
    quietMs: 1000,
    timeoutMs: 60_000,
  };
  await sendAll(WARM_UP);
  await receiver.waitForQuiet({ ...quiet, traces: WARM_UP });
  receiver.clear();
  const began = Date.now();
  const answers = await sendAll(requests);
  const seconds = (Date.now() - began) / 1000;
  const spans = await receiver.waitForQuiet({ ...quiet, traces: requests });
  const { answered, complete, traces, orphans, spanToReceivedMs } = summarize(answers, spans, {
    stream: false,
    implementations,
  });
  return {
    name,
    implementations,
    answered,
    whole: complete,
    traces,
    orphans,
    falseParents: falseParents(spans),
    spans: spans.length,
    requestsPerSecond: Math.round(answers.length / seconds),
    spanToReceivedMs,
    rssMb: await topology.rssMb(),
  };
}

// How many spans of each name the application makes for one request.
const OF_ONE_REQUEST: ReadonlyMap<string, number> = new Map([
  ["pipeline.execute", 1],
  ["agent.process", 3],
  ["llm.generate", 1],
  ["llm.provider.call", 1],
]);

/** A span under the wrong parent is one too many in that trace, and one too few in its own. */
function falseParents(spans: readonly Span[]): number {
  const seen = new Map<string, number>();
  const traces = new Set<string>();
  for (const { traceId, name } of spans) {
    if (!OF_ONE_REQUEST.has(name)) continue;
    traces.add(traceId);
    const key = `${traceId} ${name}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  let wrong = 0;
  for (const traceId of traces) {
    for (const [name, count] of OF_ONE_REQUEST) {
      wrong += Math.abs((seen.get(`${traceId} ${name}`) ?? 0) - count);
    }
  }
  return wrong;
}
