import assert from "node:assert/strict";
import { inspect } from "node:util";
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  trace,
} from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import {
  type RecordedSpan,
  type RecordedSpans,
  type RecordOptions,
  recordSpans,
} from "@traceferry/testkit/record";
import type { Adapter, AdapterOptions, Harness, SentMessage } from "./adapter.js";

/** One promise of the contract, for any test runner: `test(case.title, case.run, case.timeout)`. */
export interface ContractCase {
  readonly title: string;
  /** Milliseconds after which it hangs: far more than it takes on a busy machine. */
  readonly timeout: number;
  run(): Promise<void>;
}

/** What a case works on. */
export interface Fixtures {
  readonly adapter: Adapter;
  readonly harness: Harness;
  readonly spans: RecordedSpans;
}

/** How a case wants it. */
export interface Setting {
  readonly options?: AdapterOptions;
  readonly record?: Omit<RecordOptions, "propagator">;
  /** Open the adapter and run the case inside a live span with baggage, as code in a running process does. */
  readonly ambient?: boolean;
  /** Leave ended-twice and never-ended spans to the case. */
  readonly untidy?: boolean;
  /** Default: a minute. */
  readonly timeout?: number;
}

/** Milliseconds for a case of a few messages, on a busy machine and a remote broker. */
export const MINUTE = 60_000;

/** Tracer of the spans that the cases make themselves. */
export const OWN_SCOPE = "the contract";

/** A case with the API registered. Afterwards each span must have ended, and only once. */
export function contractCase(
  adapter: Adapter,
  title: string,
  body: (fixtures: Fixtures) => Promise<void>,
  setting: Setting = {},
): ContractCase {
  return {
    title,
    timeout: setting.timeout ?? MINUTE,
    async run() {
      adapter.reset?.();
      using spans = recordSpans({ ...setting.record, propagator: adapter.propagator() });
      const live = setting.ambient === true ? startAmbient(spans) : undefined;
      await context.with(live?.context ?? ROOT_CONTEXT, async () => {
        await using harness = await adapter.open(setting.options);
        await body({ adapter, harness, spans });
      });
      live?.span.end();
      if (setting.untidy !== true) assertTidy(spans);
    },
  };
}

/** A case with nothing registered on the API. */
export function unregisteredCase(
  adapter: Adapter,
  title: string,
  body: (fixtures: Omit<Fixtures, "spans">) => Promise<void>,
): ContractCase {
  return {
    title,
    timeout: MINUTE,
    async run() {
      adapter.reset?.();
      assert.deepEqual(propagation.fields(), [], "another test left a propagator registered");
      await using harness = await adapter.open();
      await body({ adapter, harness });
    },
  };
}

function assertTidy(spans: RecordedSpans): void {
  assert.deepEqual(spans.open, [], `spans that never ended: ${spans.open.join(", ")}`);
  const late = spans.warnings.filter((line) => /ended span|end\(\) on a span once/i.test(line));
  assert.deepEqual(
    late,
    [],
    `a span was ended twice, or changed after its end: ${late.join("; ")}`,
  );
}

function startAmbient(spans: RecordedSpans): { context: Context; span: Span } {
  const span = spans.tracer(OWN_SCOPE).startSpan("ambient");
  const baggage = propagation.createBaggage({ ambient: { value: "yes" } });
  return { span, context: propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, span), baggage) };
}

/** What code sees of the active context. */
export interface ObservedContext {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly baggage: Readonly<Record<string, string>>;
}

/** Looks at the active context. */
export function observe(): ObservedContext {
  const active = trace.getSpanContext(context.active());
  const entries = propagation.getActiveBaggage()?.getAllEntries() ?? [];
  const baggage = Object.fromEntries(entries.map(([name, entry]) => [name, entry.value]));
  return active === undefined
    ? { baggage }
    : { traceId: active.traceId, spanId: active.spanId, baggage };
}

/** Delivers one message; gives what its handler saw, and the result of `also`, which runs in the handler. */
export async function receive<Result = undefined>(
  harness: Harness,
  headers: Headers,
  also?: () => Promise<Result>,
): Promise<{ readonly observed: ObservedContext; readonly result: Result | undefined }> {
  const seen: { observed: ObservedContext; result: Result | undefined }[] = [];
  await harness.receive(headers, async () => {
    const observed = observe();
    seen.push({ observed, result: await also?.() });
  });
  const [first, ...again] = seen;
  assert.ok(first !== undefined, "the handler did not finish before the delivery did");
  assert.equal(again.length, 0, `the handler ran ${seen.length} times for one message`);
  return first;
}

/** Delivers one message whose handler sends one without headers of its own; gives what left. */
export async function passOn(
  { harness }: Pick<Fixtures, "harness">,
  headers: Headers,
): Promise<{ readonly observed: ObservedContext; readonly sent: Headers }> {
  const { observed, result } = await receive(harness, headers, () =>
    harness.send(harness.message([])),
  );
  return { observed, sent: result?.headers ?? [] };
}

/** A case's own live span with its context; the case ends it. */
export function start(
  spans: RecordedSpans,
  name = "place order",
): { context: Context; span: Span } {
  const span = spans.tracer(OWN_SCOPE).startSpan(name, {}, ROOT_CONTEXT);
  return { span, context: trace.setSpan(ROOT_CONTEXT, span) };
}

/** Sends a message from inside a live span of the case. */
export async function sendFrom(
  { harness, spans }: Pick<Fixtures, "harness" | "spans">,
  message: unknown,
): Promise<SentMessage & { readonly traceId: string; readonly spanId: string }> {
  const caller = start(spans);
  const sent = await context.with(caller.context, () => harness.send(message));
  caller.span.end();
  return { ...sent, ...ids(caller.span) };
}

function ids(span: Span): { readonly traceId: string; readonly spanId: string } {
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
}

/** The adapter's spans around the handler. */
export function entries({ adapter, spans }: Fixtures): readonly RecordedSpan[] {
  return ofAdapter(spans).filter((span) => span.kind === adapter.incoming.kind);
}

/** The adapter's spans around a send. */
export function exits({ adapter, spans }: Fixtures): readonly RecordedSpan[] {
  return ofAdapter(spans).filter((span) => span.kind === adapter.outgoing.kind);
}

/** The one span around the handler. */
export function entry(fixtures: Fixtures): RecordedSpan {
  return one(entries(fixtures), fixtures.adapter.incoming.kind, fixtures.spans);
}

/** The one span around the send. */
export function exit(fixtures: Fixtures): RecordedSpan {
  return one(exits(fixtures), fixtures.adapter.outgoing.kind, fixtures.spans);
}

function one(found: readonly RecordedSpan[], kind: string, spans: RecordedSpans): RecordedSpan {
  const [first, ...others] = found;
  if (first !== undefined && others.length === 0) return first;
  const open = spans.open.length === 0 ? "" : ` Open: ${spans.open.join(", ")}.`;
  assert.fail(
    `expected one ${kind} span of the adapter, found ${found.length}.${open} Ended: ${inspect(ofAdapter(spans))}`,
  );
}

function ofAdapter(spans: RecordedSpans): readonly RecordedSpan[] {
  return spans.ended.filter((span) => span.scope !== OWN_SCOPE);
}

/** Every value of a field, whatever the case of its name. */
function field(headers: Headers, name: string): readonly string[] {
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

/** What a message carries of a trace. */
export interface Carried {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: string;
  readonly tracestate?: string;
  readonly baggage?: string;
}

const OURS = ["traceparent", "tracestate", "baggage"];
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The context a message carries; fails unless there is exactly one lower-case traceparent and at most one of the others. */
export function carried(headers: Headers): Carried {
  const what = `\nheaders that left: ${inspect(headers, { maxStringLength: 300 })}`;
  for (const [key] of headers) {
    const name = key.toLowerCase();
    if (OURS.includes(name)) assert.equal(key, name, `${key} is not lower-case${what}`);
  }
  const [traceparent, ...more] = field(headers, "traceparent");
  assert.ok(traceparent !== undefined, `no traceparent left${what}`);
  assert.equal(more.length, 0, `several traceparents left${what}`);
  const [, traceId = "", spanId = "", flags = ""] = TRACEPARENT.exec(traceparent) ?? [];
  assert.notEqual(traceId, "", `the traceparent is malformed: ${inspect(traceparent)}${what}`);
  return { traceId, spanId, flags, ...atMostOne("tracestate"), ...atMostOne("baggage") };

  function atMostOne<Name extends string>(name: Name): { [Key in Name]?: string } | undefined {
    const values = field(headers, name);
    assert.ok(values.length <= 1, `several ${name} fields left${what}`);
    assert.ok(!values.includes(""), `an empty ${name} left${what}`);
    return values[0] === undefined ? undefined : named(name, values[0]);
  }
}

function named<Name extends string>(name: Name, value: string): { [Key in Name]?: string } {
  const result: { [Key in Name]?: string } = {};
  result[name] = value;
  return result;
}

/** The headers of a message that are none of ours. */
export function others(headers: Headers): Headers {
  return headers.filter(([key]) => !OURS.includes(key.toLowerCase()));
}

/** Bytes of the values of our fields. */
export function size(headers: Headers): number {
  return OURS.flatMap((name) => field(headers, name)).reduce(
    (sum, value) => sum + Buffer.byteLength(value),
    0,
  );
}

/** Whether the transport can carry these headers at all. */
export function canCarry(adapter: Adapter, headers: Headers): boolean {
  return adapter.canCarry?.(headers) ?? true;
}

/** The user's own headers, which no adapter may touch; none where the transport has no place for them. */
export function usersOwn(adapter: Adapter): Headers {
  return canCarry(adapter, USERS_OWN) ? USERS_OWN : [];
}

const USERS_OWN: Headers = [
  ["x-tenant", "acme"],
  ["x-request-id", "r-7f3a"],
];
