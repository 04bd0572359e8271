import assert from "node:assert/strict";
import { inspect } from "node:util";
import type { Headers } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";

const PROPAGATION_FIELDS = ["traceparent", "tracestate", "baggage"];
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const USER_HEADERS: Headers = [
  ["x-tenant", "acme"],
  ["x-request-id", "r-7f3a"],
];

/** The propagation fields of one message, with the traceparent taken apart. */
export interface PropagatedContext {
  readonly traceId: string;
  readonly spanId: string;
  /** Two lower-case hex digits. */
  readonly flags: string;
  /** Absent when the message has no such field. */
  readonly tracestate?: string;
  /** Absent when the message has no such field. */
  readonly baggage?: string;
}

/**
 * Reads the propagation fields of a message that was sent. Fails unless there is exactly one valid traceparent, at
 * most one tracestate and one baggage, none of them empty, and all names are lower-case.
 */
export function propagatedContext(headers: Headers): PropagatedContext {
  const shown = `\nheaders that were sent: ${inspect(headers, { maxStringLength: 300 })}`;
  for (const [key] of headers) {
    const name = key.toLowerCase();
    if (PROPAGATION_FIELDS.includes(name)) {
      assert.equal(key, name, `${key} is not lower-case${shown}`);
    }
  }
  const [traceparent, ...more] = valuesOf(headers, "traceparent");
  assert.ok(traceparent !== undefined, `no traceparent was sent${shown}`);
  assert.equal(more.length, 0, `several traceparents were sent${shown}`);
  const [, traceId = "", spanId = "", flags = ""] = TRACEPARENT.exec(traceparent) ?? [];
  assert.notEqual(traceId, "", `the traceparent is malformed: ${inspect(traceparent)}${shown}`);
  const tracestate = atMostOne("tracestate");
  const baggage = atMostOne("baggage");
  return {
    traceId,
    spanId,
    flags,
    ...(tracestate !== undefined && { tracestate }),
    ...(baggage !== undefined && { baggage }),
  };

  function atMostOne(name: string): string | undefined {
    const values = valuesOf(headers, name);
    assert.ok(values.length <= 1, `several ${name} fields were sent${shown}`);
    assert.ok(!values.includes(""), `an empty ${name} was sent${shown}`);
    return values[0];
  }
}

// Whatever the case of the name.
function valuesOf(headers: Headers, name: string): readonly string[] {
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

/** The headers of a message without its propagation fields. */
export function withoutPropagationFields(headers: Headers): Headers {
  return headers.filter(([key]) => !PROPAGATION_FIELDS.includes(key.toLowerCase()));
}

/** Bytes of the values of a message's propagation fields. */
export function propagationBytes(headers: Headers): number {
  return PROPAGATION_FIELDS.flatMap((name) => valuesOf(headers, name)).reduce(
    (sum, value) => sum + Buffer.byteLength(value),
    0,
  );
}

/** True when the transport can carry these headers. */
export function canCarry(adapter: Adapter, headers: Headers): boolean {
  return adapter.canCarry?.(headers) ?? true;
}

/** Headers of the user's own, which no adapter may change. Empty where the transport cannot carry them. */
export function userHeaders(adapter: Adapter): Headers {
  return canCarry(adapter, USER_HEADERS) ? USER_HEADERS : [];
}

/** The same headers with upper-case names. */
export function withUpperCaseNames(headers: Headers): Headers {
  return headers.map(([key, value]) => [key.toUpperCase(), value]);
}
