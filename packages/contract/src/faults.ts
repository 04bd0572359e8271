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
import {
  type ContractCase,
  carried,
  contractCase,
  type Fixtures,
  others,
  usersOwn,
} from "./fixtures.js";
import { Counts } from "./meters.js";
import { assertFails } from "./span-ends.js";

/** Item 7: our own parts, broken. The user must notice nothing but the report. */
export function faults(adapter: Adapter): ContractCase[] {
  return [
    fault(adapter, "a tracer provider that throws", (boom) => ({ tracerProvider: noTracer(boom) })),
    fault(adapter, "a tracer that throws", (boom) => ({ tracerProvider: noSpan(boom) })),
    fault(adapter, "a span whose every method throws", (boom) => ({
      tracerProvider: badSpan(boom),
    })),
    fault(adapter, "a span that cannot end", (boom) => ({ tracerProvider: endless(boom) })),
    fault(adapter, "a propagator that throws on extract", (boom) => ({
      propagator: { ...working(adapter), extract: boom },
    })),
    fault(adapter, "a propagator that throws on inject", (boom) => ({
      propagator: { ...working(adapter), inject: boom },
    })),
    // Nobody has to ask a propagator for its fields; who does must bear the answer.
    fault(
      adapter,
      "a propagator that throws when asked for its fields",
      (boom) => ({ propagator: { ...working(adapter), fields: boom } }),
      "optional",
    ),
    fault(adapter, "a relation function that throws", (boom) => ({ relation: boom })),
    unmetered(adapter),
  ];
}

type Boom = () => never;

function fault(
  adapter: Adapter,
  what: string,
  broken: (boom: Boom) => AdapterOptions,
  use: "required" | "optional" = "required",
): ContractCase {
  let thrown = 0;
  const counts = new Counts();
  const boom = () => {
    thrown++;
    throw new Error(`${what}, on purpose`);
  };
  const options = { ...broken(boom), meterProvider: counts };
  return contractCase(
    adapter,
    `${what} costs no message, and is reported`,
    async (fixtures) => {
      await assertUnharmed(fixtures);
      if (use === "required") assert.notEqual(thrown, 0, "the option was never used");
      const told = fixtures.spans.warnings.filter((line) => line.includes(adapter.name));
      assert.ok(
        thrown === 0 || told.length > 0,
        `nothing was reported in the name of ${adapter.name}; warnings: ${fixtures.spans.warnings.join("\n") || "none"}`,
      );
      const counted = counts.of("traceferry.faults", adapter.name);
      assert.ok(
        thrown === 0 || counted > 0,
        `traceferry.faults was not raised; counted: ${counts}`,
      );
    },
    { options, untidy: true },
  );
}

// What cannot be counted can only be borne.
function unmetered(adapter: Adapter): ContractCase {
  const getMeter = () => {
    throw new Error("a meter provider that throws, on purpose");
  };
  return contractCase(adapter, "a meter provider that throws costs no message", assertUnharmed, {
    options: { meterProvider: { getMeter } },
  });
}

async function assertUnharmed(fixtures: Fixtures): Promise<void> {
  const { harness, adapter } = fixtures;
  const own = usersOwn(adapter);
  let ran = 0;
  await harness.receive(sender().headers, () => {
    ran++;
  });
  assert.equal(ran, 1, `the handler ran ${ran} times for one message`);

  const refused = new RangeError("out of stock");
  await assertFails(fixtures, harness, sender().headers, refused, () => {
    ran++;
    throw refused;
  });
  assert.equal(ran, 2, `the handler that throws ran ${ran - 1} times for one message`);

  const bare = await harness.sendUninstrumented(harness.message(own));
  const sent = await harness.send(harness.message(own));
  assert.deepEqual(others(sent.headers), others(bare.headers), "the user's own headers changed");
  assert.deepEqual(sent.body, bare.body, "the user's body changed");
  if (others(sent.headers).length !== sent.headers.length) carried(sent.headers);

  await assert.rejects(harness.sendFailing(harness.message([])), "a failing send did not fail");
}

function working(adapter: Adapter): TextMapPropagator {
  const propagator = adapter.propagator();
  return {
    inject: (...args) => propagator.inject(...args),
    extract: (...args) => propagator.extract(...args),
    fields: () => propagator.fields(),
  };
}

function noTracer(boom: Boom): TracerProvider {
  return { getTracer: boom };
}

function noSpan(boom: Boom): TracerProvider {
  const tracer: Tracer = { startSpan: boom, startActiveSpan: boom };
  return { getTracer: () => tracer };
}

function badSpan(boom: Boom): TracerProvider {
  return spansOf({
    spanContext: boom,
    setAttribute: boom,
    setAttributes: boom,
    addEvent: boom,
    addLink: boom,
    addLinks: boom,
    setStatus: boom,
    updateName: boom,
    end: boom,
    isRecording: boom,
    recordException: boom,
  });
}

function endless(boom: Boom): TracerProvider {
  const span: Span = {
    spanContext: () => INVALID_SPAN_CONTEXT,
    setAttribute: () => span,
    setAttributes: () => span,
    addEvent: () => span,
    addLink: () => span,
    addLinks: () => span,
    setStatus: () => span,
    updateName: () => span,
    end: boom,
    isRecording: () => true,
    recordException: () => undefined,
  };
  return spansOf(span);
}

function spansOf(span: Span): TracerProvider {
  const tracer: Tracer = {
    startSpan: () => span,
    startActiveSpan: (...args: unknown[]) => {
      const run = args.at(-1);
      if (typeof run === "function") return run(span);
      throw new TypeError("startActiveSpan without a function");
    },
  };
  return { getTracer: () => tracer };
}
