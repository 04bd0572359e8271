import type { Context } from "@opentelemetry/api";
import type { Instrumenter } from "@traceferry/core";
import { type Packet, writePacket } from "./carrier/index.js";

/**
 * Returns the packet that a client sends in a context: a copy with the fields that the client's instrumenter
 * injects, or the packet itself where there is nothing to inject.
 */
export function outgoingPacket<P extends Packet>(
  packet: P,
  instrumenter: Instrumenter<unknown>,
  from: Context,
): P {
  return writePacket(packet, instrumenter.inject(from));
}
