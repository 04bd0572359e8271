import assert from "node:assert/strict";
import {
  INVALID_SPAN_CONTEXT,
  type Span,
  type TextMapPropagator,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import type { Adapter, AdapterOptions } from "./adapter.js";
import { type ContractCase, contractCase, type Fixtures } from "./fixtures.js";
import { propagatedContext, userHeaders, withoutPropagationFields } from "./headers.js";
import { CountingMeterProvider } from "./meters.js";
import { assertDeliveryFails } from "./span-ends.js";

/** A part of the telemetry that throws changes nothing for the user, and is reported and counted. */
export function faults(adapter: Adapter): ContractCase[] {
  return [
    fault(adapter, "a tracer provider that throws", (fail) => ({
      tracerProvider: { getTracer: fail },
    })),
    fault(adapter, "a tracer that throws", (fail) => ({
      tracerProvider: providerOf({ startSpan: fail, startActiveSpan: fail }),
    })),
    fault(adapter, "a span whose every method throws", (fail) => ({
      tracerProvider: providerOf(tracerOf(spanWhoseMethodsAre(fail))),
    })),
    fault(adapter, "a span that cannot end", (fail) => ({
      tracerProvider: providerOf(tracerOf(spanWhoseEndIs(fail))),
    })),
    fault(adapter, "a propagator that throws on extract", (fail) => ({
      propagator: { ...workingPropagator(adapter), extract: fail },
    })),
    fault(adapter, "a propagator that throws on inject", (fail) => ({
      propagator: { ...workingPropagator(adapter), inject: fail },
    })),
    // No adapter has to ask a propagator for its fields; one that does must handle the error.
    fault(
      adapter,
      "a propagator that throws when asked for its fields",
      (fail) => ({ propagator: { ...workingPropagator(adapter), fields: fail } }),
      "optional",
    ),
    fault(adapter, "a relation function that throws", (fail) => ({ relation: fail })),
    throwingMeterProvider(adapter),
  ];
}

type Thrower = () => never;

function fault(
  adapter: Adapter,
  name: string,
  optionsWith: (fail: Thrower) => AdapterOptions,
  use: "required" | "optional" = "required",
): ContractCase {
  let thrown = 0;
  const counted = new CountingMeterProvider();
  const fail = () => {
    thrown++;
    throw new Error(`${name}, on purpose`);
  };
  const options = { ...optionsWith(fail), meterProvider: counted };
  return contractCase(
    adapter,
    `${name} harms no message, and is reported`,
    async (fixtures) => {
      await assertUnharmed(fixtures);
      if (use === "required") assert.notEqual(thrown, 0, "the option was never used");
      if (thrown === 0) return;
      const { warnings } = fixtures.spans;
      assert.ok(
        warnings.some((line) => line.includes(adapter.name)),
        `nothing was reported in the name of ${adapter.name}; warnings: ${warnings.join("\n") || "none"}`,
      );
      assert.ok(
        counted.count("traceferry.faults", adapter.name) > 0,
        `traceferry.faults was not raised; counted: ${counted}`,
      );
    },
    { options, allowUnendedSpans: true },
  );
}

// A fault of the meter provider cannot be counted.
function throwingMeterProvider(adapter: Adapter): ContractCase {
  const getMeter = () => {
    throw new Error("a meter provider that throws, on purpose");
  };
  return contractCase(adapter, "a meter provider that throws harms no message", assertUnharmed, {
    options: { meterProvider: { getMeter } },
  });
}

async function assertUnharmed(fixtures: Fixtures): Promise<void> {
  await assertReceiveUnharmed(fixtures);
  await assertSendUnharmed(fixtures);
}

async function assertReceiveUnharmed(fixtures: Fixtures): Promise<void> {
  const { harness } = fixtures;
  let runs = 0;
  await harness.receive(sender().headers, () => {
    runs++;
  });
  assert.equal(runs, 1, `the handler ran ${runs} times for one message`);

  const outOfStock = new RangeError("out of stock");
  await assertDeliveryFails(fixtures, harness, sender().headers, outOfStock, () => {
    runs++;
    throw outOfStock;
  });
  assert.equal(runs, 2, `the handler that throws ran ${runs - 1} times for one message`);
}

async function assertSendUnharmed({ harness, adapter }: Fixtures): Promise<void> {
  const own = userHeaders(adapter);
  const uninstrumented = await harness.sendUninstrumented(harness.message(own));
  const sent = await harness.send(harness.message(own));
  const kept = withoutPropagationFields(sent.headers);
  assert.deepEqual(
    kept,
    withoutPropagationFields(uninstrumented.headers),
    "the user's own headers changed",
  );
  assert.deepEqual(sent.body, uninstrumented.body, "the user's body changed");
  // Nothing need be injected, but what is injected must be valid.
  if (kept.length !== sent.headers.length) propagatedContext(sent.headers);

  await assert.rejects(harness.sendFailing(harness.message([])), "a failing send did not fail");
}

function workingPropagator(adapter: Adapter): TextMapPropagator {
  const propagator = adapter.propagator();
  return {
    inject: (...args) => propagator.inject(...args),
    extract: (...args) => propagator.extract(...args),
    fields: () => propagator.fields(),
  };
}

function providerOf(tracer: Tracer): TracerProvider {
  return { getTracer: () => tracer };
}

function tracerOf(span: Span): Tracer {
  return {
    startSpan: () => span,
    startActiveSpan: (...args: unknown[]) => {
      const run = args.at(-1);
      if (typeof run === "function") return run(span);
      throw new TypeError("startActiveSpan without a function");
    },
  };
}

function spanWhoseMethodsAre(fail: Thrower): Span {
  return {
    spanContext: fail,
    setAttribute: fail,
    setAttributes: fail,
    addEvent: fail,
    addLink: fail,
    addLinks: fail,
    setStatus: fail,
    updateName: fail,
    end: fail,
    isRecording: fail,
    recordException: fail,
  };
}

function spanWhoseEndIs(fail: Thrower): Span {
  const span: Span = {
    spanContext: () => INVALID_SPAN_CONTEXT,
    setAttribute: () => span,
    setAttributes: () => span,
    addEvent: () => span,
    addLink: () => span,
    addLinks: () => span,
    setStatus: () => span,
    updateName: () => span,
    end: fail,
    isRecording: () => true,
    recordException: () => undefined,
  };
  return span;
}
