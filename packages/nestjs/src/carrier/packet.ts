import type { Injection } from "@traceferry/core";

/** A message as Nest's clients hand it to their transport. */
export interface Packet {
  readonly pattern: unknown;
  readonly data: unknown;
  /** The carrier of the trace context. TCP and Redis send it since Nest 12.0.4. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Returns a copy of the packet whose metadata has the injected fields, and no field of an earlier trace in any
 * letter case. The packet itself stays as it is, and is returned where there is nothing to inject.
 */
export function writePacket<P extends Packet>(packet: P, injection: Injection | undefined): P {
  if (injection === undefined) return packet;
  // By entries, so that a key `__proto__` stays an ordinary one.
  const kept = Object.entries(packet.metadata ?? {}).filter(
    ([name]) => !injection.stale.includes(name.toLowerCase()),
  );
  return { ...packet, metadata: Object.fromEntries([...kept, ...injection.fields]) };
}
