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
import {
  type RecordedSpan,
  type RecordedSpans,
  type RecordOptions,
  recordSpans,
} from "@traceferry/testkit/record";
import type { Adapter, AdapterOptions, Harness } from "./adapter.js";

/** One promise of the contract, for any test runner: `test(case.title, case.run, case.timeout)`. */
export interface ContractCase {
  readonly title: string;
  /** Milliseconds after which the case counts as hung: far more than it takes on a busy machine. */
  readonly timeout: number;
  /** Rejects with an AssertionError when the adapter breaks the promise. */
  run(): Promise<void>;
}

/** The adapter under test, open, and the spans that it makes. */
export interface Fixtures {
  readonly adapter: Adapter;
  readonly harness: Harness;
  readonly spans: RecordedSpans;
}

/** Changes to what surrounds a case. */
export interface CaseOptions {
  /** Options for the adapter. Default: none. */
  readonly options?: AdapterOptions;
  /** Changes to what is registered on the OpenTelemetry API. Default: everything but a meter provider. */
  readonly record?: Omit<RecordOptions, "propagator">;
  /**
   * Opens the adapter and runs the case inside an unrelated live span with baggage, as code in a running process
   * does. Default: `false`.
   */
  readonly ambient?: boolean;
  /** Accepts spans that never end, and spans that end twice. Default: `false`. */
  readonly allowUnendedSpans?: boolean;
  /** Milliseconds. Default: a minute. */
  readonly timeout?: number;
}

/** Milliseconds for a case of a few messages, on a busy machine and a remote broker. */
export const MINUTE = 60_000;

/** Instrumentation scope of the spans that the cases make themselves. */
export const CONTRACT_SCOPE = "the contract";

/** Makes a case that registers on the API what it needs. Afterwards each span must have ended exactly once. */
export function contractCase(
  adapter: Adapter,
  title: string,
  body: (fixtures: Fixtures) => Promise<void>,
  changes: CaseOptions = {},
): ContractCase {
  return {
    title,
    timeout: changes.timeout ?? MINUTE,
    async run() {
      adapter.reset?.();
      using spans = recordSpans({ ...changes.record, propagator: adapter.propagator() });
      const ambient = changes.ambient === true ? startAmbientSpan(spans) : undefined;
      await context.with(ambient?.context ?? ROOT_CONTEXT, async () => {
        await using harness = await adapter.open(changes.options);
        await body({ adapter, harness, spans });
      });
      ambient?.span.end();
      if (changes.allowUnendedSpans !== true) assertEndedOnce(spans);
    },
  };
}

/** Makes a case that runs with nothing registered on the API. */
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

// The SDK warns of a span that ends twice, or that is changed after its end.
function assertEndedOnce(spans: RecordedSpans): void {
  assert.deepEqual(spans.open, [], `spans that never ended: ${spans.open.join(", ")}`);
  const late = spans.warnings.filter((line) => /ended span|end\(\) on a span once/i.test(line));
  assert.deepEqual(
    late,
    [],
    `a span was ended twice, or changed after its end: ${late.join("; ")}`,
  );
}

/** A live span with the context that it is active in. Whoever starts it ends it. */
export interface LiveSpan {
  readonly context: Context;
  readonly span: Span;
}

function startAmbientSpan(spans: RecordedSpans): LiveSpan {
  const span = spans.tracer(CONTRACT_SCOPE).startSpan("ambient");
  const baggage = propagation.createBaggage({ ambient: { value: "yes" } });
  return { span, context: propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, span), baggage) };
}

/** Starts a root span for code that sends. */
export function startCallerSpan(spans: RecordedSpans): LiveSpan {
  const span = spans.tracer(CONTRACT_SCOPE).startSpan("place order", {}, ROOT_CONTEXT);
  return { span, context: trace.setSpan(ROOT_CONTEXT, span) };
}

/** The adapter's ended spans around handlers: SERVER or CONSUMER. */
export function incomingSpans({ adapter, spans }: Fixtures): readonly RecordedSpan[] {
  return adapterSpans(spans).filter((span) => span.kind === adapter.incoming.kind);
}

/** The adapter's ended spans around sends: CLIENT or PRODUCER. */
export function outgoingSpans({ adapter, spans }: Fixtures): readonly RecordedSpan[] {
  return adapterSpans(spans).filter((span) => span.kind === adapter.outgoing.kind);
}

/** The one ended span around the handler. Fails when there is none, or several. */
export function incomingSpan(fixtures: Fixtures): RecordedSpan {
  return onlySpan(incomingSpans(fixtures), fixtures.adapter.incoming.kind, fixtures.spans);
}

/** The one ended span around the send. Fails when there is none, or several. */
export function outgoingSpan(fixtures: Fixtures): RecordedSpan {
  return onlySpan(outgoingSpans(fixtures), fixtures.adapter.outgoing.kind, fixtures.spans);
}

function onlySpan(
  found: readonly RecordedSpan[],
  kind: string,
  spans: RecordedSpans,
): RecordedSpan {
  const [first, ...others] = found;
  if (first !== undefined && others.length === 0) return first;
  const open = spans.open.length === 0 ? "" : ` Open: ${spans.open.join(", ")}.`;
  assert.fail(
    `expected one ${kind} span of the adapter, found ${found.length}.${open} Ended: ${inspect(adapterSpans(spans))}`,
  );
}

function adapterSpans(spans: RecordedSpans): readonly RecordedSpan[] {
  return spans.ended.filter((span) => span.scope !== CONTRACT_SCOPE);
}
