import type { Context } from "@opentelemetry/api";
import type { Instrumenter } from "@traceferry/core";
import { type Packet, writePacket } from "./carrier/index.js";

/**
 * Returns the packet to send for a client with options of its own: a copy with what the client's instrumenter
 * injects, or the packet itself where there is nothing to inject.
 *
 * @param from - the context to inject, in which the client's span is
 */
export function outgoingPacket<P extends Packet>(
  packet: P,
  instrumenter: Instrumenter<unknown>,
  from: Context,
): P {
  return writePacket(packet, instrumenter.inject(from));
}
