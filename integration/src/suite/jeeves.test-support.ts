import { type OtlpReceiver, startReceiver } from "@traceferry/testkit";
import type { Span } from "@traceferry/traces";
import {
  expectedTrace,
  startTopology,
  type Topology,
  type TopologyOptions,
} from "../topology/index.js";
import { engines } from "./engines.test-support.js";

/** The reference system and the receiver that its roles export to. */
export interface Jeeves extends AsyncDisposable {
  readonly topology: Topology;
  readonly receiver: OtlpReceiver;
  /** The address of the gateway. */
  readonly url: string;
  /** Waits for a trace until these services (default: all that make spans) have sent spans of it and no more come. */
  trace(traceId: string, services?: readonly string[]): Promise<readonly Span[]>;
  /** Finds the trace of a request whose answer has no trace id, by the request's id on a span. */
  traceOf(requestId: string): Promise<string>;
}

/** Starts the reference system on the suite's engines. */
export async function startJeeves(
  options: Pick<TopologyOptions, "env" | "roleEnv" | "providerUrl" | "implementations"> = {},
): Promise<Jeeves> {
  const receiver = await startReceiver();
  try {
    const topology = await startTopology({
      engines: engines(),
      otlpUrl: receiver.httpUrl,
      log: () => undefined,
      ...options,
    });
    return {
      topology,
      receiver,
      url: topology.gatewayUrl,
      // When a role ends unexpectedly the trace may never come: its error is reported at once.
      trace: (traceId, services = expectedTrace(options.implementations).services) =>
        Promise.race([
          receiver.waitForTrace(traceId, { services: [...services], quietMs: 400 }),
          topology.failure,
        ]),
      traceOf: async (requestId) => {
        const isOf = (span: Span): boolean => span.attributes["jeeves.request.id"] === requestId;
        const quiet = receiver.waitForQuiet({ atLeast: 1, quietMs: 400 });
        const spans = await Promise.race([quiet, topology.failure]);
        const found = spans.find(isOf);
        if (found === undefined) throw new Error(`no span has the request's id ${requestId}`);
        return found.traceId;
      },
      [Symbol.asyncDispose]: async () => {
        await topology[Symbol.asyncDispose]();
        await receiver.close();
      },
    };
  } catch (error) {
    await receiver.close();
    throw error;
  }
}
