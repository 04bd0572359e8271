import type { Injection } from "@traceferry/core";

/** What a client of Nest sends, as it hands it to its transport. */
export interface Packet {
  readonly pattern: unknown;
  readonly data: unknown;
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Gives a copy of the packet with one value for each field of ours in its metadata, and none of an earlier
 * trace, in any letter case.
 */
export function writePacket<P extends Packet>(packet: P, injection: Injection | undefined): P {
  if (injection === undefined) return packet;
  // Entries, because somebody's metadata may have a key `__proto__`.
  const kept = Object.entries(packet.metadata ?? {}).filter(
    ([name]) => !injection.stale.includes(name.toLowerCase()),
  );
  return { ...packet, metadata: Object.fromEntries([...kept, ...injection.fields]) };
}
