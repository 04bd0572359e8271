import type { Context } from "@opentelemetry/api";
import type { Instrumenter } from "@traceferry/core";
import { type Packet, writePacket } from "./carrier/headers.js";

/**
 * Returns the packet to send: a copy with what the instrumenter injects, or the packet itself where there is nothing
 * to inject.
 *
 * @param from - the context to inject, with the client's span where there is one
 */
export function outgoingPacket<P extends Packet>(
  packet: P,
  instrumenter: Instrumenter<unknown>,
  from: Context,
): P {
  return writePacket(packet, instrumenter.inject(from));
}
