import {
  evaluateUnbroken,
  isFinallyBroken,
  type Span,
  servicesOf,
  type UnbrokenExpectation,
} from "@traceferry/traces";
import { type OtlpReceiver, type WaitOptions, WaitTimeoutError } from "@traceferry/traces/receiver";
import { expect } from "vitest";

/** The expected trace and, for a receiver, how long to wait for it. */
export type UnbrokenTraceExpectation = UnbrokenExpectation &
  Pick<WaitOptions, "quietMs" | "timeoutMs">;

declare module "vitest" {
  // The type parameters have to be those of vitest's own declaration.
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> {
    /**
     * Passes when the spans, or those of a receiver, are one whole trace that fulfils the expectation. With a receiver
     * it first waits until the expected services were seen and nothing new arrives, so it has to be awaited.
     */
    toHaveUnbrokenTrace(expectation?: UnbrokenTraceExpectation): Promise<void>;
  }
}

expect.extend({
  async toHaveUnbrokenTrace(received: unknown, expectation: UnbrokenTraceExpectation = {}) {
    const timeout = isReceiver(received) ? await waitFor(received, expectation) : "";
    const { pass, message } = evaluateUnbroken(spansOf(received), expectation);
    return { pass, message: () => `${message}${timeout}` };
  },
});

// At the timeout the arrived spans are evaluated all the same: a verdict says more than "timed out".
async function waitFor(
  receiver: OtlpReceiver,
  expectation: UnbrokenTraceExpectation,
): Promise<string> {
  const { quietMs, timeoutMs, traceId, traces, spans } = expectation;
  try {
    await receiver.waitForQuiet({
      services: servicesOf(expectation),
      enough: (arrived) => isFinallyBroken(arrived, expectation),
      ...(quietMs !== undefined && { quietMs }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(traceId !== undefined && { traceId }),
      ...(traces !== undefined && { traces }),
      ...(spans !== undefined && { atLeast: spans }),
    });
    return "";
  } catch (error) {
    if (!(error instanceof WaitTimeoutError)) throw error;
    return `\n\n${error.summary}`;
  }
}

function spansOf(received: unknown): readonly Span[] {
  if (isReceiver(received)) return received.spans;
  if (isSpans(received)) return received;
  throw new TypeError("toHaveUnbrokenTrace wants an OtlpReceiver or an array of Span");
}

function isReceiver(value: unknown): value is OtlpReceiver {
  return typeof value === "object" && value !== null && "waitForQuiet" in value;
}

function isSpans(value: unknown): value is readonly Span[] {
  return (
    Array.isArray(value) &&
    value.every((item: unknown) => typeof item === "object" && item !== null && "spanId" in item)
  );
}
