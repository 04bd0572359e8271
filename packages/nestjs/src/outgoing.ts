import { type Context, context } from "@opentelemetry/api";
import { Boundary } from "@traceferry/core";
import { boundarySettings } from "./options.js";

/** What a client of Nest sends, as it hands it to its transport. */
export interface Packet {
  readonly pattern: unknown;
  readonly data: unknown;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

const boundary = new Boundary(boundarySettings(true));

/**
 * Gives a copy of a packet with the trace context in its metadata, by the global propagator; where there is
 * nothing to send, the packet itself. TCP and Redis send the metadata of packets, since 12.0.4.
 *
 * @param from - the context to send; default the active one
 */
export function injectPacket<P extends Packet>(packet: P, from: Context = context.active()): P {
  const injection = boundary.inject(from);
  if (injection === undefined) return packet;
  // Entries, because a stranger's metadata may have a key `__proto__`.
  const kept = Object.entries(packet.metadata ?? {}).filter(
    ([name]) => !injection.stale.includes(name.toLowerCase()),
  );
  return { ...packet, metadata: Object.fromEntries([...kept, ...injection.fields]) };
}
