import assert from "node:assert/strict";
import { context, propagation, trace } from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import type { Harness, SentMessage } from "./adapter.js";
import { type Fixtures, startCallerSpan } from "./fixtures.js";

/** The active context, as user code sees it. */
export interface ObservedContext {
  /** Absent, as is `spanId`, when no span is active. */
  readonly traceId?: string;
  readonly spanId?: string;
  readonly baggage: Readonly<Record<string, string>>;
}

/** Reads the active context. */
export function observe(): ObservedContext {
  const active = trace.getSpanContext(context.active());
  const entries = propagation.getActiveBaggage()?.getAllEntries() ?? [];
  const baggage = Object.fromEntries(entries.map(([name, entry]) => [name, entry.value]));
  return active === undefined
    ? { baggage }
    : { traceId: active.traceId, spanId: active.spanId, baggage };
}

/**
 * Delivers one message. Returns the context that its handler runs in, and the result of `inHandler`, which the handler
 * awaits. Fails unless the handler runs exactly once.
 */
export async function receive<Result = undefined>(
  harness: Harness,
  headers: Headers,
  inHandler?: () => Promise<Result>,
): Promise<{ readonly observed: ObservedContext; readonly result: Result | undefined }> {
  const runs: { observed: ObservedContext; result: Result | undefined }[] = [];
  await harness.receive(headers, async () => {
    const observed = observe();
    runs.push({ observed, result: await inHandler?.() });
  });
  const [first, ...again] = runs;
  assert.ok(first !== undefined, "the handler did not finish before the delivery did");
  assert.equal(again.length, 0, `the handler ran ${runs.length} times for one message`);
  return first;
}

/** Delivers one message whose handler sends another, without headers of its own; returns the headers that were sent. */
export async function receiveAndSend(
  { harness }: Pick<Fixtures, "harness">,
  headers: Headers,
): Promise<{ readonly observed: ObservedContext; readonly sent: Headers }> {
  const { observed, result } = await receive(harness, headers, () =>
    harness.send(harness.message([])),
  );
  return { observed, sent: result?.headers ?? [] };
}

/** Sends a message from inside a live span of the caller; gives what was sent, and the caller's ids. */
export async function sendInSpan(
  { harness, spans }: Pick<Fixtures, "harness" | "spans">,
  message: unknown,
): Promise<SentMessage & { readonly traceId: string; readonly spanId: string }> {
  const caller = startCallerSpan(spans);
  const sent = await context.with(caller.context, () => harness.send(message));
  caller.span.end();
  const { traceId, spanId } = caller.span.spanContext();
  return { ...sent, traceId, spanId };
}
