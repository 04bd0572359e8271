import { type Context, context } from "@opentelemetry/api";
import { Instrumenter, withoutSpan } from "@traceferry/core";
import { MESSAGE_SETTINGS } from "../options.js";
import { rpcGetter } from "./getters.js";
import { type Packet, writePacket } from "./packet.js";
import { toRpcMessage } from "./rpc-message.js";

export { httpGetter, rpcGetter } from "./getters.js";
export { type Packet, writePacket } from "./packet.js";
export { property, type RpcMessage, toRpcMessage } from "./rpc-message.js";

const globalInstrumenter = new Instrumenter<unknown>(MESSAGE_SETTINGS);

/**
 * Gives a copy of a packet with the trace context in its metadata, by the global propagator; where there is
 * nothing to send, the packet itself. TCP and Redis send the metadata of packets, since 12.0.4.
 *
 * @param from - the context to send; default the active one
 */
export function injectPacket<P extends Packet>(packet: P, from: Context = context.active()): P {
  return writePacket(packet, globalInstrumenter.inject(from));
}

/**
 * Gives the context that came with a message, by the global propagator: the sender's span and baggage in `base`,
 * whose own span and baggage are gone also where no sender is found.
 *
 * @param rpc - what Nest gives a handler as the context of its message, `KafkaContext` for one; for gRPC the
 *   metadata or the call
 * @param base - what else to keep; default the active context
 */
export function extractRpcContext(rpc: unknown, base: Context = context.active()): Context {
  // A span for this very message may be in it, ours for one; asked for is the sender's.
  const spanless = withoutSpan(base);
  try {
    const message = toRpcMessage(rpc);
    if (message !== undefined)
      return globalInstrumenter.extract(message, rpcGetter, rpc, spanless).parent;
  } catch (error) {
    globalInstrumenter.reporter.fault("extract", error);
  }
  return spanless;
}
