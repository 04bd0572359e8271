import { type Context, context } from "@opentelemetry/api";
import { Instrumenter, withoutSpan } from "@traceferry/core";
import { MESSAGE_SETTINGS } from "../options.js";
import { outgoingPacket } from "../outgoing.js";
import { type Packet, rpcGetter } from "./headers.js";
import { toRpcMessage } from "./rpc-message.js";

export { httpGetter, type Packet, rpcGetter } from "./headers.js";
export { property, type RpcMessage, toRpcMessage } from "./rpc-message.js";

// Uses the propagator that is registered with the API, looked up at each call.
const globalInstrumenter = new Instrumenter<unknown>(MESSAGE_SETTINGS);

/**
 * Injects the trace context into the metadata of a packet, with the global propagator, and returns a copy; where
 * there is nothing to inject, the packet itself. TCP and Redis send the metadata of packets since Nest 12.0.4.
 *
 * @param from - the context to inject; default the active one
 */
export function injectPacket<P extends Packet>(packet: P, from: Context = context.active()): P {
  return outgoingPacket(packet, globalInstrumenter, from);
}

/**
 * Extracts the sender's context from a message, with the global propagator. Returns `base` with the sender's span
 * context and baggage; the span and baggage that `base` had are taken out, also where no sender is found. Never
 * throws: a fault is reported, and counts as no sender.
 *
 * @param rpc - the context that Nest gives a message handler, for example a `KafkaContext`; for gRPC the metadata
 *   or the call
 * @param base - the context to extract into; default the active one
 */
export function extractRpcContext(rpc: unknown, base: Context = context.active()): Context {
  // In a handler the active span is the one for this very message, and would be found instead of the sender.
  const spanless = withoutSpan(base);
  try {
    const message = toRpcMessage(rpc);
    if (message !== undefined) {
      return globalInstrumenter.extract(message, rpcGetter, rpc, spanless).parent;
    }
  } catch (error) {
    globalInstrumenter.reporter.fault("extract", error);
  }
  return spanless;
}
